/** What a backtest was run with and on: its configuration and its candles. */

import { formatHours } from './backtest-metrics.js';
import { element, replaceContent } from './element.js';
import { formatMoney, formatNumber, formatTime } from './format.js';
import { t } from './i18n.js';
import { intervalLength } from './klines.js';
import { dataTable } from './table.js';
import { word } from './words.js';

/**
 * @param {HTMLElement} list a `dl`
 * @param {Record<string, any>} config
 * @param {string} trader
 */
export function showConfig(list, config, trader) {
  const { funding } = config;
  const entries = [
    [t('Trader'), trader],
    ...Object.entries(config['params'] ?? {}).map(([name, value]) => [t(paramTitle(name)), paramText(value)]),
    [t('Coins'), config['coins'].join(', ')],
    [t('Range'), t('%(from)s to %(to)s, whole days, UTC', { from: config['start_date'], to: config['end_date'] })],
    [t('Interval'), config['interval']],
    [t('Decides every'), t('%(count)s bars (%(time)s)', { count: formatNumber(config['decide_every']), time: decisionTime(config) })],
    [t('Initial capital'), formatMoney(Number(config['initial_capital']))],
    [t('Fee'), t('%(percent)s of each trade', { percent: `${formatNumber(Number(config['trade_fee_rate']) * 100, 3)} %` })],
    [t('Slippage'), t('%(count)s basis points', { count: formatNumber(Number(config['slippage_bps']), 1) })],
    [t('Decisions fill at'), config['fill'] === 'close' ? t('Close of the same bar') : t('Open of the next bar')],
    [t('Risk profile'), word(config['risk'])],
    [t('Lot rounding'), yesNo(config['lot_rounding'])],
    [t('Liquidation'), yesNo(config['liquidation'])],
    [t('Funding'), funding ? t('%(percent)s every %(hours)s hours', { percent: `${formatNumber(Number(funding.rate) * 100, 4)} %`, hours: funding.every_hours }) : t('none')],
  ];
  replaceContent(list, ...entries.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]));
}

/** @param {boolean} value */
const yesNo = (value) => (value ? t('on') : t('off'));

/** @param {Record<string, any>} config */
const decisionTime = (config) => formatHours((config['decide_every'] * intervalLength(config['interval'])) / 3_600_000);

/** A parameter's name as the strategies' schemas title it: `allow_short` is Allow Short. @param {string} name */
export const paramTitle = (name) => name.split('_').map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join(' ');

/** @param {unknown} value a script is counted, not shown */
function paramText(value) {
  if (Array.isArray(value)) return t('%(count)s entries', { count: formatNumber(value.length) });
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/**
 * @param {HTMLElement} container
 * @param {HTMLElement} list a `dl` for where the candles are from
 * @param {Record<string, any>} used the report's `data`
 */
export function showCandlesUsed(container, list, used) {
  const rows = Object.entries(used['coins'] ?? {}).map(([coin, bars]) => ({ coin, ...bars }));
  const count = (/** @type {string} */ key, /** @type {string} */ label) => ({
    key,
    label,
    number: true,
    value: (/** @type {any} */ row) => row[key],
    show: (/** @type {any} */ row) => formatNumber(row[key]),
  });
  const table = dataTable(container, {
    label: t('Candles used'),
    keyOf: (/** @type {any} */ { coin }) => coin,
    testId: 'candles-used',
    empty: () => element('span'),
    columns: [
      { key: 'coin', label: t('Coin'), value: ({ coin }) => coin },
      count('bars', t('Bars')),
      count('warmup_bars', t('Warm-up')),
      count('missing_bars', t('Missing')),
      { key: 'first', label: t('First'), value: ({ first }) => first, show: ({ first }) => formatTime(first) },
      { key: 'last', label: t('Last'), value: ({ last }) => last, show: ({ last }) => formatTime(last) },
    ],
  });
  table.update(rows);
  const entries = [[t('Source'), used['source']], [t('Hash of the candles'), element('code', { class: 'hash' }, used['hash'])]];
  replaceContent(list, ...entries.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]));
}
