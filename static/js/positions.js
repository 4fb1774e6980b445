/**
 * Open positions: at the newest prices, and as a table.
 *
 * @typedef {object} Position
 * @property {string} coin
 * @property {'long' | 'short'} side
 * @property {number} quantity
 * @property {number} entry_price
 * @property {number} leverage
 * @property {number} margin
 * @property {number | null} mark_price null where no price has come yet
 * @property {number} value margin and unrealised profit
 * @property {number} unrealized_pnl
 * @property {number | null} liquidation_price
 * @property {number | null} stop_loss
 * @property {number | null} profit_target
 * @property {number | null} trailing_stop_pct
 * @property {string} opened_at
 * @property {number | null} opened_by the trade that opened it
 * @property {boolean} stale
 * @property {number | null} mark_age_seconds
 * @property {string} [mark_source] where the page has the mark from
 * @property {number} [model_id]
 * @property {string} [model_name]
 */

import { element } from './element.js';
import { emptyState } from './failure.js';
import {
  directionClass,
  formatAge,
  formatPercent,
  formatPrice,
  formatProfit,
  formatQuantity,
  formatMoney,
  formatTime,
  NOTHING,
} from './format.js';
import { t } from './i18n.js';
import { originLink } from './origin-links.js';
import { ageSeconds, isStale, priceOf } from './prices.js';
import { substitute } from './sources.js';
import { dataTable } from './table.js';
import { sideBadge, word } from './words.js';

/**
 * The position valued at the newest price that came in, or as it is where none came.
 *
 * @param {Position} position
 * @returns {Position}
 */
export function atNewestPrice(position) {
  const price = priceOf(position.coin);
  if (!price) return position;
  const direction = position.side === 'long' ? 1 : -1;
  const unrealized = direction * position.quantity * (price.price - position.entry_price);
  return {
    ...position,
    mark_price: price.price,
    unrealized_pnl: unrealized,
    value: position.margin + unrealized,
    stale: isStale(price),
    mark_age_seconds: ageSeconds(price),
    mark_source: price.source,
  };
}

/**
 * How far the price may go against the position before it is liquidated, in percent of the mark.
 *
 * @param {Position} position
 */
function liquidationDistance({ liquidation_price, mark_price, stale }) {
  if (liquidation_price === null || mark_price === null || stale) return null;
  return (100 * Math.abs(mark_price - liquidation_price)) / mark_price;
}

/**
 * @param {HTMLElement} container
 * @param {{ withModel: boolean, filter: HTMLInputElement, exportButton: HTMLElement }} options
 */
export function positionsTable(container, { withModel, filter, exportButton }) {
  return dataTable(container, {
    label: t('Open positions'),
    testId: 'positions',
    urlKey: 'positions',
    fileName: 'positions',
    filter,
    exportButton,
    columns: withModel ? [coinColumn, modelColumn, ...valueColumns] : [coinColumn, ...valueColumns],
    keyOf: ({ model_id, coin }) => `${model_id ?? ''} ${coin}`,
    rowClass: ({ stale }) => (stale ? 'stale' : ''),
    empty: () => emptyState(t('No open positions. They appear here as soon as a model enters the market.')),
  });
}

/** @typedef {import('./table.js').Column<Position>} PositionColumn */

/** @param {string} coin */
export const coinLink = (coin) =>
  element('a', { href: `/charts?coin=${encodeURIComponent(coin)}`, class: 'coin' }, coin);

/** @param {number | undefined} id @param {string | undefined} name */
export const modelLink = (id, name) => element('a', { href: `/models/${id}`, class: 'name' }, name ?? '');

/** @type {PositionColumn} */
const coinColumn = { key: 'coin', label: t('Coin'), value: ({ coin }) => coin, show: ({ coin }) => coinLink(coin) };

/** Whose row it is. @type {import('./table.js').Column<{ model_id?: number, model_name?: string }>} */
export const modelColumn = {
  key: 'model',
  label: t('Model'),
  value: ({ model_name }) => model_name,
  show: ({ model_id, model_name }) => modelLink(model_id, model_name),
};

/** @type {PositionColumn[]} */
const valueColumns = [
  {
    key: 'side',
    label: t('Side'),
    value: ({ side }) => word(side),
    show: ({ side, leverage }) =>
      element(
        'span',
        { class: 'side' },
        element('span', { class: sideBadge(side) }, word(side)),
        element('span', { class: 'muted' }, `${leverage}×`),
      ),
  },
  {
    key: 'pnl',
    label: t('Unrealised P&L'),
    number: true,
    value: (p) => p.unrealized_pnl,
    show: (p) => noted(formatProfit(p.unrealized_pnl), formatPercent((100 * p.unrealized_pnl) / p.margin)),
    className: (p) => directionClass(p.unrealized_pnl),
  },
  {
    key: 'quantity',
    label: t('Quantity'),
    number: true,
    value: ({ quantity }) => quantity,
    show: (p) => formatQuantity(p.quantity),
  },
  {
    key: 'entry',
    label: t('Entry'),
    number: true,
    value: (p) => p.entry_price,
    show: entryCell,
  },
  { key: 'mark', label: t('Mark'), number: true, value: (p) => p.mark_price, show: markCell },
  {
    key: 'value',
    label: t('Value'),
    number: true,
    value: ({ value }) => value,
    show: ({ value }) => formatMoney(value),
  },
  { key: 'stop', label: t('Stop'), number: true, value: (p) => p.stop_loss, show: stopCell },
  {
    key: 'target',
    label: t('Target'),
    number: true,
    value: (p) => p.profit_target,
    show: (p) => formatPrice(p.profit_target),
  },
  { key: 'liquidation', label: t('Liquidation'), number: true, value: liquidationDistance, show: liquidationCell },
  {
    key: 'opened',
    label: t('Opened'),
    number: true,
    value: (p) => p.opened_at,
    show: (p) => formatTime(p.opened_at, 'short'),
  },
];

/**
 * @param {string} text
 * @param {string} note in small type under it
 */
function noted(text, note) {
  return element('span', {}, text, element('span', { class: 'cell-note' }, note));
}

/** Leads to the trade that opened it. @param {Position} position */
function entryCell({ entry_price, opened_by }) {
  if (opened_by === null) return formatPrice(entry_price);
  return originLink('trade', opened_by, formatPrice(entry_price), {
    title: t('The trade that opened it'),
    'data-testid': 'entry-link',
  });
}

/** @param {Position} position */
function markCell({ mark_price, stale, mark_age_seconds, mark_source }) {
  if (!stale) return noted(formatPrice(mark_price), substitute(mark_source));
  return noted(formatPrice(mark_price), t('%(age)s old', { age: formatAge(mark_age_seconds) }));
}

/** @param {Position} position */
function stopCell({ stop_loss, trailing_stop_pct }) {
  if (trailing_stop_pct === null) return formatPrice(stop_loss);
  return noted(formatPrice(stop_loss), t('trailing %(percent)s', { percent: formatPercent(trailing_stop_pct, false) }));
}

/** @param {Position} position */
function liquidationCell(position) {
  if (position.liquidation_price === null) return NOTHING;
  const distance = liquidationDistance(position);
  const note = distance === null ? '' : t('%(percent)s away', { percent: formatPercent(distance, false) });
  return noted(formatPrice(position.liquidation_price), note);
}
