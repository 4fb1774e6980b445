/**
 * Picks coins: a search over chips that are pressed or not.
 *
 * @typedef {{ symbol: string, name: string }} Coin
 */

import { element, replaceContent, setText } from './element.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';

const MOST_SHOWN = 60;

let pickerCount = 0;

/**
 * @param {HTMLElement} container
 * @param {object} options
 * @param {Coin[]} options.coins by rank
 * @param {readonly string[]} options.chosen symbols
 * @param {(chosen: string[]) => void} [options.onChange]
 * @returns {{ chosen: () => string[] }} symbols in the order of `coins`
 */
export function coinPicker(container, { coins, chosen, onChange }) {
  const picked = new Set(chosen);
  const id = `coin-picker-${++pickerCount}`;
  const search = element('input', {
    class: 'input',
    type: 'search',
    placeholder: t('Search coins'),
    'aria-label': t('Search coins'),
    'aria-controls': id,
    autocomplete: 'off',
    'data-testid': 'coin-search',
  });
  const clear = element(
    'button',
    { type: 'button', class: 'button button-small', 'data-testid': 'coins-none' },
    t('None'),
  );
  const count = element('span', { class: 'muted', role: 'status', 'data-testid': 'coin-count' });
  const chips = element('div', { class: 'chips coin-chips', id });
  const more = element('p', { class: 'field-hint' });

  // Chosen ones first, once: a chip does not move when it is pressed.
  const inOrder = [...coins].sort((one, other) => Number(picked.has(other.symbol)) - Number(picked.has(one.symbol)));
  const nodes = new Map(inOrder.map((coin) => [coin, chip(coin)]));

  /** @param {Coin} coin */
  function chip({ symbol, name }) {
    return element(
      'button',
      {
        type: 'button',
        class: 'chip',
        title: name,
        'aria-pressed': String(picked.has(symbol)),
        'data-testid': `coin-${symbol}`,
        onclick: () => toggle(symbol),
      },
      symbol,
    );
  }

  /** @param {string} symbol */
  function toggle(symbol) {
    if (!picked.delete(symbol)) picked.add(symbol);
    changed();
  }

  function changed() {
    for (const [{ symbol }, node] of nodes) node.setAttribute('aria-pressed', String(picked.has(symbol)));
    setText(count, t('%(count)s chosen', { count: formatNumber(picked.size) }));
    onChange?.(result());
  }

  function filter() {
    const wanted = search.value.trim().toLowerCase();
    const found = inOrder.filter(
      ({ symbol, name }) => symbol.toLowerCase().includes(wanted) || name.toLowerCase().includes(wanted),
    );
    replaceContent(chips, ...found.slice(0, MOST_SHOWN).map((coin) => nodes.get(coin)));
    const hidden = found.length - MOST_SHOWN;
    more.hidden = found.length > 0 && hidden <= 0;
    setText(
      more,
      found.length ? t('%(count)s more: search to find them.', { count: hidden }) : t('No coin is called like this.'),
    );
  }

  const result = () => coins.map(({ symbol }) => symbol).filter((symbol) => picked.has(symbol));

  search.addEventListener('input', filter);
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') event.preventDefault(); // a search does not send the form
  });
  clear.addEventListener('click', () => {
    picked.clear();
    changed();
  });
  replaceContent(container, element('div', { class: 'toolbar' }, search, clear, count), chips, more);
  filter();
  changed();
  return { chosen: result };
}
