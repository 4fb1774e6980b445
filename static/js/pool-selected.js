/** The coins of a model's pool: rows that stay in place while their values change. */

import { matches } from './coin-facts.js';
import { element, replaceContent } from './element.js';
import { emptyState } from './failure.js';
import { keepingFocus } from './focus.js';
import { t } from './i18n.js';
import { poolRow } from './pool-row.js';

/** @typedef {import('./pool-row.js').PoolCoin} PoolCoin */

/**
 * @typedef {object} SelectedEvents
 * @property {(coin: PoolCoin, isEnabled: boolean) => void} onEnable
 * @property {(coin: PoolCoin, weight: number) => Promise<string | null>} onWeigh answers why it was refused
 * @property {(coin: PoolCoin) => void} onRemove
 * @property {(coin: PoolCoin) => void} onAdd one that is out of the pool
 */

/**
 * @param {HTMLElement} container
 * @param {HTMLInputElement} search
 * @param {SelectedEvents} events
 */
export function selectedCoins(container, search, events) {
  const list = element('ul', { class: 'pool-rows', 'data-testid': 'selected' });
  /** @type {Map<number, ReturnType<typeof poolRow>>} */
  const rows = new Map();
  /** @type {PoolCoin[]} */
  let pool = [];

  /** @param {PoolCoin[]} now */
  function update(now) {
    pool = now;
    const ids = new Set(pool.map(({ id }) => id));
    for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
    for (const coin of pool) {
      const row = rows.get(coin.id);
      if (row) row.update(coin);
      else rows.set(coin.id, poolRow(coin));
    }
    show();
  }

  function show() {
    const wanted = search.value.trim().toLowerCase();
    const shown = pool.filter((coin) => matches(coin, wanted));
    keepingFocus(container, () => {
      if (shown.length === 0) return replaceContent(container, emptyState(nothing(pool.length)));
      const nodes = shown.map(({ id }) => /** @type {HTMLElement} */ (rows.get(id)?.node));
      if (nodes.some((node, at) => list.children[at] !== node) || nodes.length !== list.children.length) {
        list.replaceChildren(...nodes);
      }
      if (list.parentNode !== container) replaceContent(container, headings(), list);
    });
  }

  /** What the shares would be with the weights as they are written now. */
  function showSharesAsWritten() {
    const weights = new Map(pool.map((coin) => [coin.id, entering(coin) ? writtenWeight(coin.id) : 0]));
    const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
    for (const [id, weight] of weights) rows.get(id)?.showShare(total > 0 ? weight / total : 0);
  }

  /** @param {number} id */
  function writtenWeight(id) {
    const weight = Number(rows.get(id)?.weight.value);
    return weight > 0 ? weight : 0;
  }

  /** @param {EventTarget | null} target */
  function coinOf(target) {
    const key = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (target).closest('[data-key]'))?.dataset[
      'key'
    ];
    return pool.find(({ id }) => String(id) === key);
  }

  /** @param {PoolCoin} coin */
  async function weigh(coin) {
    const row = rows.get(coin.id);
    if (!row) return;
    const weight = Number(row.weight.value);
    const refused = weight > 0 ? await events.onWeigh(coin, weight) : t('A weight is a number above 0.');
    row.showWeightError(refused);
  }

  container.addEventListener('click', (event) => {
    const action = /** @type {HTMLElement} */ (event.target).closest('button')?.dataset['do'];
    const coin = coinOf(event.target);
    if (coin && action === 'remove') events.onRemove(coin);
    if (coin && action === 'add') events.onAdd(coin);
  });
  container.addEventListener('change', (event) => {
    const control = /** @type {HTMLInputElement} */ (event.target);
    const coin = coinOf(control);
    if (coin && control.dataset['do'] === 'enable') events.onEnable(coin, control.checked);
    if (coin && control.dataset['do'] === 'weigh') weigh(coin);
  });
  container.addEventListener('input', (event) => {
    if (/** @type {HTMLElement} */ (event.target).dataset['do'] === 'weigh') showSharesAsWritten();
  });
  search.addEventListener('input', show);
  return { update };
}

/** What the columns hold; each control says it for itself to screen readers. */
function headings() {
  const texts = [t('Coin'), '', t('Weight'), t('Share'), ''];
  const cells = texts.map((text) => element('span', {}, text));
  return element('div', { class: 'pool-row pool-headings', 'aria-hidden': 'true' }, ...cells);
}

/** A coin in which a position may be opened. @param {PoolCoin} coin */
const entering = (coin) => coin.in_pool && coin.is_enabled && !coin.close_only;

/** @param {number} total */
function nothing(total) {
  if (total) return t('No coin is called like this.');
  return t('The pool is empty, so this model opens no positions. Add coins one by one or a whole group at once.');
}
