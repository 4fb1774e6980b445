/** What the tour of the dashboard points at. A step whose place is not in sight on this page is left out. */

import { t } from './i18n.js';

/** @typedef {{ place: string, title: string, text: string }} Step `place` is a selector */

/** @type {Step[]} */
export const STEPS = [
  {
    place: '[data-testid="add-first-model"]',
    title: t('Begin with a model'),
    text: t('A model is a trader with an account of its own, on paper: a rule, or a language model. Add one, and it trades.'),
  },
  {
    place: '[aria-labelledby="account-value-title"]',
    title: t('How the accounts do'),
    text: t('A line is the value of a model’s account. Dashed ones are those that the others have to beat.'),
  },
  {
    place: '[aria-labelledby="leaderboard-title"]',
    title: t('Who is ahead'),
    text: t('The best first. A model’s name leads to its page: its positions, its settings, its decisions.'),
  },
  {
    place: '[aria-labelledby="trades-title"]',
    title: t('Where numbers come from'),
    text: t('A number with a dotted line leads to where it comes from: a trade to its decision, and that to the prompt and the answer.'),
  },
  {
    place: '[data-testid="nav-coins"]',
    title: t('Coins and pools'),
    text: t('Which coins there are, in which groups. Each model trades those of its own pool: choose them on its page.'),
  },
  {
    place: '[data-testid="nav-charts"]',
    title: t('Charts'),
    text: t('Live candles of every coin, with what the models bought and sold.'),
  },
  {
    place: '[data-testid="nav-backtest"]',
    title: t('Backtest'),
    text: t('What a trader would have made of the past, through the very code that trades now.'),
  },
  {
    place: '[data-testid="kill-switch"]',
    title: t('Stop all'),
    text: t('Stops all trading and every question to a language model at once, until you resume.'),
  },
  {
    place: '[data-testid="nav-settings"]',
    title: t('Settings'),
    text: t('Fees, language, colours, password, backups. There this tour begins again.'),
  },
];
