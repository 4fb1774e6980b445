/** The coins that are not in a model's pool yet, each with a button that adds it. */

import { categoryBadge, matches } from './coin-facts.js';
import { element, replaceContent } from './element.js';
import { emptyState } from './failure.js';
import { keepingFocus } from './focus.js';
import { t } from './i18n.js';
import { coinLink } from './positions.js';

/** @typedef {import('./coin-facts.js').Coin} Coin */

/**
 * @param {HTMLElement} container
 * @param {HTMLInputElement} search
 * @param {(coin: Coin) => void} onAdd
 * @returns {{ update: (coins: Coin[], total: number) => void }} `total`: of all active coins
 */
export function availableCoins(container, search, onAdd) {
  /** @type {Coin[]} */
  let coins = [];
  let total = 0;
  /** @type {WeakMap<Coin, HTMLElement>} */
  const rows = new WeakMap();

  /** @param {Coin} coin */
  function rowOf(coin) {
    const row = rows.get(coin) ?? availableRow(coin);
    rows.set(coin, row);
    return row;
  }

  function show() {
    const wanted = search.value.trim().toLowerCase();
    const shown = coins.filter((coin) => matches(coin, wanted));
    const list = () => element('ul', { class: 'pool-rows', 'data-testid': 'available' }, ...shown.map(rowOf));
    keepingFocus(container, () => replaceContent(container, shown.length ? list() : nothing()));
  }

  function nothing() {
    if (coins.length) return emptyState(t('No coin is called like this.'));
    if (total) return emptyState(t('Every active coin is in the pool.'));
    const link = element('a', { class: 'button', href: '/coins' }, t('Add coins'));
    return emptyState(t('There are no active coins yet.'), link);
  }

  container.addEventListener('click', (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest('button');
    const row = /** @type {HTMLElement | null | undefined} */ (button?.closest('[data-key]'));
    const coin = coins.find(({ id }) => String(id) === row?.dataset['key']);
    if (!coin || !button) return;
    const next = row?.nextElementSibling ?? row?.previousElementSibling;
    /** @type {HTMLElement | null | undefined} */ (next?.querySelector('button'))?.focus(); // its row goes
    onAdd(coin);
  });
  search.addEventListener('input', show);
  return {
    update: (now, all) => {
      coins = now;
      total = all;
      show();
    },
  };
}

/** @param {Coin} coin */
function availableRow({ id, symbol, name, category }) {
  const label = t('Add %(coin)s', { coin: symbol });
  return element(
    'li',
    { class: 'available-row', 'data-key': id, 'data-testid': `available-${symbol}` },
    element(
      'div',
      { class: 'pool-coin' },
      coinLink(symbol),
      element('span', { class: 'one-line muted', title: name }, name),
      categoryBadge(category),
    ),
    element(
      'button',
      {
        type: 'button',
        class: 'button button-small',
        'aria-label': label,
        'data-action': 'add',
        'data-testid': `add-${symbol}`,
      },
      t('Add'),
    ),
  );
}
