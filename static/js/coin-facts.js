/**
 * What cards, tables and lists of coins say of a coin in the same way.
 *
 * @typedef {object} Coin
 * @property {number} id
 * @property {string} symbol
 * @property {string} name
 * @property {string | null} category
 * @property {boolean} is_active
 * @property {string | null} binance_symbol
 * @property {string | null} okx_symbol
 * @property {string | null} coingecko_id
 * @property {number | null} market_cap_rank
 * @property {string | null} notes
 * @property {{ binance: boolean | null, okx: boolean | null }} trading whether the venue trades it now; null: not known
 */

import { element } from './element.js';
import { NOTHING, formatNumber } from './format.js';
import { t } from './i18n.js';

/** @param {number} count */
export const coinCount = (count) => (count === 1 ? t('1 coin') : t('%(count)s coins', { count: formatNumber(count) }));

/** @param {string | null} category */
export function categoryBadge(category) {
  return category ? element('span', { class: 'badge', 'data-testid': 'coin-category' }, category) : null;
}

/** @param {{ is_active: boolean }} coin */
export function stateBadge({ is_active: active }) {
  return element(
    'span',
    { class: `badge ${active ? 'badge-ok' : 'badge-muted'}`, 'data-testid': 'coin-state' },
    active ? t('In use') : t('Inactive'),
  );
}

/**
 * The symbol on a venue, with a light for whether it is traded there.
 *
 * @param {string | null} symbol
 * @param {boolean | null} trading
 */
export function venueNode(symbol, trading) {
  if (!symbol) return element('span', { class: 'muted' }, NOTHING);
  const state = trading === null ? 'unknown' : trading ? 'ok' : 'error';
  const says = trading === null ? t('not known whether it is traded') : trading ? t('traded') : t('not traded');
  return element(
    'span',
    { class: 'venue light', 'data-state': state, title: says },
    symbol,
    element('span', { class: 'sr-only' }, ` (${says})`),
  );
}

/**
 * @param {{ symbol: string, name: string }} coin
 * @param {string} wanted in lower case
 */
export function matches({ symbol, name }, wanted) {
  return symbol.toLowerCase().includes(wanted) || name.toLowerCase().includes(wanted);
}
