/** What to do in an app in which nobody trades yet: each step with the button that does it. */

import { element } from './element.js';
import { emptyState } from './failure.js';
import { t } from './i18n.js';

/** @typedef {{ title: string, text: string, label: string, href: string }} Step */

/** @type {Step[]} */
const STEPS = [
  {
    title: t('A language model'),
    text: t('Any OpenAI-compatible API, also one on this computer: its address, its key, and then a model that asks it.'),
    label: t('Add provider'),
    href: '/models?add=provider',
  },
  {
    title: t('Try it on the past'),
    text: t('The same traders, risk and books on stored candles. What is missing is fetched from an exchange.'),
    label: t('Run a backtest'),
    href: '/backtest',
  },
  {
    title: t('Look at the market'),
    text: t('Live candles, indicators and the order book of every coin.'),
    label: t('Open the charts'),
    href: '/charts',
  },
];

/** @returns {Node[]} */
export function firstSteps() {
  const add = element(
    'a',
    { class: 'button button-primary', href: '/models?add=1', 'data-testid': 'add-first-model' },
    t('Add model'),
  );
  return [
    element(
      'div',
      { class: 'card' },
      emptyState(t('No models trade yet. Add the first one, and its account appears here.'), add),
    ),
    element('div', { class: 'card-grid' }, ...STEPS.map(stepCard)),
  ];
}

/** @param {Step} step */
function stepCard({ title, text, label, href }) {
  return element(
    'section',
    { class: 'card card-compact' },
    element('h2', { class: 'card-name' }, title),
    element('p', { class: 'muted' }, text),
    element('div', {}, element('a', { class: 'button', href }, label)),
  );
}
