/** Coins as a table, and as a CSV file. */

import { coinButtons } from './coin-actions.js';
import { categoryBadge, stateBadge, venueNode } from './coin-facts.js';
import { changeNode, priceNode } from './coin-prices.js';
import { downloadCsv, toCsv } from './csv.js';
import { element } from './element.js';
import { NOTHING, formatNumber } from './format.js';
import { t } from './i18n.js';
import { coinLink } from './positions.js';
import { priceOf } from './prices.js';
import { dataTable } from './table.js';

/** @typedef {import('./coin-facts.js').Coin} Coin */

/** @type {import('./table.js').Column<Coin>[]} */
export const COIN_COLUMNS = [
  { key: 'symbol', label: t('Symbol'), value: ({ symbol }) => symbol, show: ({ symbol }) => coinLink(symbol) },
  {
    key: 'name',
    label: t('Name'),
    value: ({ name }) => name,
    show: ({ name }) => element('span', { class: 'one-line', title: name, 'data-testid': 'coin-name' }, name),
  },
  {
    key: 'category',
    label: t('Category'),
    value: ({ category }) => category,
    show: ({ category }) => categoryBadge(category),
  },
  {
    key: 'rank',
    label: t('Rank'),
    number: true,
    value: (coin) => coin.market_cap_rank,
    show: ({ market_cap_rank: rank }) => (rank === null ? NOTHING : formatNumber(rank)),
  },
  {
    key: 'price',
    label: t('Price'),
    number: true,
    value: ({ symbol }) => priceOf(symbol)?.price,
    show: ({ symbol }) => priceNode(symbol),
  },
  {
    key: 'change',
    label: t('24 h'),
    number: true,
    value: ({ symbol }) => priceOf(symbol)?.change_24h,
    show: ({ symbol }) => changeNode(symbol),
  },
  {
    key: 'binance',
    label: 'Binance',
    value: (coin) => coin.binance_symbol,
    show: ({ binance_symbol: symbol, trading }) => venueNode(symbol, trading.binance),
  },
  {
    key: 'okx',
    label: 'OKX',
    value: (coin) => coin.okx_symbol,
    show: ({ okx_symbol: symbol, trading }) => venueNode(symbol, trading.okx),
  },
  {
    key: 'coingecko',
    label: 'CoinGecko',
    value: (coin) => coin.coingecko_id,
    show: (coin) => coin.coingecko_id ?? NOTHING,
  },
  {
    key: 'state',
    label: t('State'),
    value: ({ is_active: active }) => (active ? t('In use') : t('Inactive')),
    show: stateBadge,
  },
  { key: 'actions', label: t('Actions'), show: coinButtons, className: () => 'actions' },
];

/** @param {HTMLElement} container */
export function coinTable(container) {
  return dataTable(container, {
    label: t('Coins'),
    testId: 'coins',
    urlKey: 'sort',
    order: 'rank',
    columns: COIN_COLUMNS,
    keyOf: ({ id }) => id,
    rowClass: ({ is_active: active }) => (active ? '' : 'coin-inactive'),
    empty: () => element('span'), // the page itself says that there are none
  });
}

/** @param {readonly Coin[]} coins in the order of the file */
export function exportCoins(coins) {
  const columns = COIN_COLUMNS.filter(({ value }) => value);
  const header = [...columns.map(({ label }) => label), t('Notes')];
  const rows = coins.map((coin) => [...columns.map(({ value }) => value?.(coin)), coin.notes]);
  downloadCsv('coins.csv', toCsv(header, rows));
}
