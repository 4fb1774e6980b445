/** Coins as cards. A card is made once for a coin as it came, and moved about after that. */

import { coinButtons } from './coin-actions.js';
import { categoryBadge, stateBadge, venueNode } from './coin-facts.js';
import { changeNode, priceNode } from './coin-prices.js';
import { element, replaceContent } from './element.js';
import { NOTHING, formatNumber } from './format.js';
import { t } from './i18n.js';
import { coinLink } from './positions.js';

/** @typedef {import('./coin-facts.js').Coin} Coin */

/** @type {WeakMap<Coin, HTMLElement>} */
const cards = new WeakMap();

/**
 * @param {HTMLElement} container
 * @param {readonly Coin[]} coins in order
 */
export function showCards(container, coins) {
  const nodes = coins.map((coin) => {
    const known = cards.get(coin);
    if (known) return known;
    const made = card(coin);
    cards.set(coin, made);
    return made;
  });
  replaceContent(container, element('ul', { class: 'card-grid coin-cards', 'data-testid': 'coin-cards' }, ...nodes));
}

/** @param {Coin} coin */
function card(coin) {
  return element(
    'li',
    {
      class: `card card-compact coin-card${coin.is_active ? '' : ' coin-inactive'}`,
      'data-key': coin.id,
      'data-testid': 'coin-card',
    },
    element(
      'div',
      { class: 'coin-head' },
      element(
        'div',
        { class: 'coin-names' },
        element('h3', { class: 'card-name' }, coinLink(coin.symbol)),
        element('div', { class: 'one-line muted', title: coin.name, 'data-testid': 'coin-name' }, coin.name),
      ),
      element('div', { class: 'coin-price' }, priceNode(coin.symbol), changeNode(coin.symbol)),
    ),
    element(
      'div',
      { class: 'coin-badges' },
      rankBadge(coin.market_cap_rank),
      categoryBadge(coin.category),
      coin.is_active ? null : stateBadge(coin),
    ),
    factList(coin),
    coinButtons(coin),
  );
}

/** @param {number | null} rank */
function rankBadge(rank) {
  if (rank === null) return null;
  return element(
    'span',
    { class: 'badge badge-muted', title: t('Rank by market cap') },
    `#${formatNumber(rank)}`,
  );
}

/** What the sources call it. @param {Coin} coin */
function factList({ binance_symbol: binance, okx_symbol: okx, coingecko_id: gecko, trading }) {
  /** @type {[string, import('./element.js').Child][]} */
  const facts = [
    ['Binance', venueNode(binance, trading.binance)],
    ['OKX', venueNode(okx, trading.okx)],
    ['CoinGecko', gecko ?? NOTHING],
  ];
  return element(
    'dl',
    { class: 'coin-facts' },
    ...facts.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', { class: 'one-line' }, value))),
  );
}
