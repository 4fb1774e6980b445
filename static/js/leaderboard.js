/** All models, the best first. */

import { element } from './element.js';
import { emptyState } from './failure.js';
import { directionClass, formatMoney, formatNumber, formatPercent } from './format.js';
import { t } from './i18n.js';
import { modelLink } from './positions.js';
import { dataTable } from './table.js';

/**
 * @typedef {object} Standing
 * @property {number} rank
 * @property {number} model_id
 * @property {string} model_name
 * @property {string} trader
 * @property {number} total_value
 * @property {number} return_percentage
 * @property {number | null} max_drawdown percent
 * @property {number | null} sharpe
 * @property {number} trades
 * @property {number | null} win_rate percent
 * @property {number} fees
 * @property {number} token_cost of the calls to its LLM
 * @property {string} [trader_name]
 */

/** @type {import('./table.js').Column<Standing>[]} */
const columns = [
  {
    key: 'model',
    label: t('Model'),
    value: ({ model_name }) => model_name,
    show: ({ rank, model_id, model_name }) =>
      element(
        'span',
        { class: 'ranked' },
        element('span', { class: 'rank muted' }, formatNumber(rank)),
        modelLink(model_id, model_name),
      ),
  },
  {
    key: 'value',
    label: t('Value'),
    number: true,
    value: (row) => row.total_value,
    show: (row) => formatMoney(row.total_value),
  },
  {
    key: 'return',
    label: t('Return'),
    number: true,
    value: (row) => row.return_percentage,
    show: (row) => formatPercent(row.return_percentage),
    className: (row) => directionClass(row.return_percentage),
  },
  {
    key: 'drawdown',
    label: t('Max drawdown'),
    number: true,
    value: (row) => row.max_drawdown,
    show: (row) => formatPercent(row.max_drawdown, false),
  },
  {
    key: 'sharpe',
    label: t('Sharpe'),
    number: true,
    value: ({ sharpe }) => sharpe,
    show: ({ sharpe }) => formatNumber(sharpe, 2),
  },
  {
    key: 'trades',
    label: t('Trades'),
    number: true,
    value: ({ trades }) => trades,
    show: ({ model_id, trades }) => sectionLink(model_id, 'trades', formatNumber(trades)),
  },
  {
    key: 'win_rate',
    label: t('Win rate'),
    number: true,
    value: (row) => row.win_rate,
    show: (row) => formatPercent(row.win_rate, false),
  },
  {
    key: 'fees',
    label: t('Fees'),
    number: true,
    value: ({ fees }) => fees,
    show: ({ model_id, fees }) => sectionLink(model_id, 'trades', formatMoney(fees)),
  },
  {
    key: 'token_cost',
    label: t('Token cost'),
    number: true,
    value: (row) => row.token_cost,
    show: ({ model_id, token_cost, trader }) =>
      trader === 'ai' ? sectionLink(model_id, 'calls', formatMoney(token_cost)) : formatMoney(token_cost),
  },
  {
    key: 'trader',
    label: t('Trader'),
    value: ({ trader_name, trader }) => t(trader_name ?? trader),
    className: () => 'muted',
  },
];

/** Leads to what the figure is the sum of. @param {number} modelId @param {string} section @param {string} text */
function sectionLink(modelId, section, text) {
  return element('a', { class: 'origin', href: `/models/${modelId}#${section}-title` }, text);
}

/**
 * @param {HTMLElement} container
 * @param {HTMLElement} exportButton
 */
export function leaderboardTable(container, exportButton) {
  return dataTable(container, {
    label: t('Leaderboard'),
    testId: 'leaderboard',
    urlKey: 'leaderboard',
    fileName: 'leaderboard',
    exportButton,
    reorders: true,
    columns,
    keyOf: ({ model_id }) => model_id,
    empty: () => emptyState(t('No models to compare yet.')),
  });
}
