/** A backtest's results taken apart: by coin, by drawdown, by what was refused. */

import { element } from './element.js';
import { directionClass, formatMoney, formatNumber, formatPercent, formatProfit, formatTime } from './format.js';
import { t } from './i18n.js';
import { dataTable } from './table.js';
import { word } from './words.js';

/** @param {string} message */
const nothing = (message) => () => element('p', { class: 'card-body muted' }, message);

/**
 * @param {HTMLElement} container
 * @param {readonly Record<string, any>[]} perCoin
 */
export function showPerCoin(container, perCoin) {
  const table = dataTable(container, {
    label: t('By coin'),
    keyOf: (/** @type {any} */ { coin }) => coin,
    order: '-pnl',
    testId: 'per-coin',
    empty: nothing(t('Nothing was traded.')),
    columns: [
      { key: 'coin', label: t('Coin'), value: ({ coin }) => coin },
      { key: 'trades', label: t('Trades'), number: true, value: ({ total_trades: trades }) => trades, show: ({ total_trades: trades }) => formatNumber(trades) },
      { key: 'win_rate', label: t('Win rate'), number: true, value: ({ win_rate: rate }) => rate, show: ({ win_rate: rate }) => formatPercent(rate, false) },
      { key: 'pnl', label: t('Profit and loss'), number: true, value: ({ pnl }) => pnl, show: ({ pnl }) => formatProfit(pnl), className: ({ pnl }) => directionClass(pnl) },
      { key: 'fees', label: t('Fees'), number: true, value: ({ fees }) => fees, show: ({ fees }) => formatMoney(fees) },
    ],
  });
  table.update(perCoin);
}

/**
 * @param {HTMLElement} container
 * @param {readonly Record<string, any>[]} drawdowns
 */
export function showDrawdowns(container, drawdowns) {
  const time = (/** @type {string} */ key, /** @type {string} */ label) => ({
    key,
    label,
    value: (/** @type {any} */ row) => row[key],
    show: (/** @type {any} */ row) => (row[key] ? formatTime(row[key], 'day') : t('not yet')),
  });
  const table = dataTable(container, {
    label: t('Deepest drawdowns'),
    keyOf: (/** @type {any} */ { peak }) => peak,
    order: '-depth',
    testId: 'drawdowns',
    empty: nothing(t('The account was never below an earlier value.')),
    columns: [
      { key: 'depth', label: t('Depth'), number: true, value: ({ depth_percentage: depth }) => depth, show: ({ depth_percentage: depth }) => formatPercent(depth, false) },
      time('peak', t('Peak')),
      time('trough', t('Lowest')),
      time('recovery', t('Recovered')),
      { key: 'days', label: t('Days'), number: true, value: ({ days }) => days, show: ({ days }) => formatNumber(days, 1) },
    ],
  });
  table.update(drawdowns);
}

/**
 * @param {HTMLElement} container
 * @param {readonly Record<string, any>[]} refusals
 */
export function showRefusals(container, refusals) {
  const table = dataTable(container, {
    label: t('Refused decisions'),
    keyOf: (/** @type {any} */ { reason }) => reason,
    order: '-count',
    testId: 'refusals',
    empty: nothing(t('No decision was refused.')),
    columns: [
      { key: 'reason', label: t('Reason'), value: ({ reason }) => word(reason) },
      { key: 'count', label: t('Times'), number: true, value: ({ count }) => count, show: ({ count }) => formatNumber(count) },
      { key: 'example', label: t('For example'), value: exampleText },
    ],
  });
  table.update(refusals);
}

/** @param {any} refusal */
function exampleText({ examples: [first] }) {
  return first ? `${formatTime(first.timestamp)} · ${first.coin} · ${word(first.signal)}` : '';
}
