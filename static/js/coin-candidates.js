/**
 * Coins that were found, to choose from: those already known are marked, and not chosen.
 *
 * @typedef {object} Candidate
 * @property {string} symbol
 * @property {string} name
 * @property {string | null} coingecko_id
 * @property {number | null} market_cap_rank
 * @property {string | null} binance_symbol
 * @property {string | null} okx_symbol
 * @property {string | null} category
 * @property {boolean} known already among the coins
 * @property {number | null} coin_id of the known one
 */

import { categoryBadge } from './coin-facts.js';
import { element, replaceContent, setText } from './element.js';
import { NOTHING, formatNumber } from './format.js';
import { t } from './i18n.js';
import { dataTable } from './table.js';

/**
 * @param {HTMLElement} container
 * @param {object} options
 * @param {Candidate[]} options.found
 * @param {Set<number>} options.sleeping ids of inactive coins
 * @param {(count: number) => void} options.onChange how many are chosen
 * @returns {{ chosen: () => Candidate[] }} in the order found
 */
export function candidateTable(container, { found, sleeping, onChange }) {
  const numbered = found.map((candidate, at) => ({ ...candidate, at }));
  const free = numbered.filter(({ known, coin_id: id }) => !known || (id !== null && sleeping.has(id)));
  const picked = new Set(proposed(free));
  const count = element('span', { class: 'muted', role: 'status', 'data-testid': 'candidate-count' });
  const filter = element('input', {
    class: 'input',
    type: 'search',
    placeholder: t('Filter'),
    'aria-label': t('Filter'),
    autocomplete: 'off',
    'data-testid': 'candidate-filter',
  });
  const place = element('div', { class: 'candidates' });
  const all = choice('candidates-all', t('Choose all new'), () => free.map(({ at }) => at));
  const none = choice('candidates-none', t('Choose none'), () => []);

  /**
   * @param {string} testId
   * @param {string} label
   * @param {() => number[]} chosen
   */
  function choice(testId, label, chosen) {
    const onclick = () => {
      picked.clear();
      for (const at of chosen()) picked.add(at);
      changed();
    };
    return element('button', { type: 'button', class: 'button button-small', 'data-testid': testId, onclick }, label);
  }

  function changed() {
    for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (place.querySelectorAll('input[type=checkbox]'))) {
      box.checked = picked.has(Number(box.value));
    }
    setText(
      count,
      t('%(count)s of %(total)s found chosen', { count: formatNumber(picked.size), total: formatNumber(found.length) }),
    );
    onChange(picked.size);
  }

  place.addEventListener('change', (event) => {
    const box = /** @type {HTMLInputElement} */ (event.target);
    if (box.checked) picked.add(Number(box.value));
    else picked.delete(Number(box.value));
    changed();
  });
  replaceContent(container, element('div', { class: 'toolbar' }, filter, all, none, count), place);
  const freeAt = new Set(free.map(({ at }) => at));
  dataTable(place, {
    label: t('Coins found'),
    testId: 'candidates',
    filter,
    columns: columns(freeAt).filter(({ key }) => key !== 'category' || found.some(({ category }) => category)),
    keyOf: ({ at }) => at,
    rowClass: ({ at }) => (freeAt.has(at) ? '' : 'coin-inactive'),
    empty: () => element('span'),
  }).update([...free, ...numbered.filter(({ at }) => !freeAt.has(at))]); // what can be chosen first
  changed();
  return { chosen: () => numbered.filter(({ at }) => picked.has(at)) };
}

/**
 * At first: what a venue trades, and of several coins with one symbol the largest.
 *
 * @param {(Candidate & { at: number })[]} free
 */
function proposed(free) {
  /** @type {Map<string, number>} */
  const bySymbol = new Map();
  for (const { symbol, at, binance_symbol: binance, okx_symbol: okx } of free) {
    if ((binance || okx) && !bySymbol.has(symbol)) bySymbol.set(symbol, at);
  }
  return bySymbol.values();
}

/**
 * @param {Set<number>} free which can be chosen
 * @returns {import('./table.js').Column<Candidate & { at: number }>[]}
 */
function columns(free) {
  return [
    {
      key: 'symbol',
      label: t('Symbol'),
      value: ({ symbol }) => symbol,
      show: ({ symbol, name, at }) =>
        element(
          'label',
          { class: 'checkbox' },
          element('input', {
            type: 'checkbox',
            value: at,
            disabled: !free.has(at),
            'data-testid': `candidate-${symbol}`,
          }),
          element('span', { class: 'candidate-symbol' }, symbol),
          element('span', { class: 'sr-only' }, name),
        ),
    },
    {
      key: 'name',
      label: t('Name'),
      value: ({ name }) => name,
      show: ({ name }) => element('span', { class: 'coin-cell-name', title: name }, name),
    },
    {
      key: 'rank',
      label: t('Rank'),
      number: true,
      value: ({ market_cap_rank: rank }) => rank,
      show: ({ market_cap_rank: rank }) => (rank === null ? NOTHING : formatNumber(rank)),
    },
    {
      key: 'category',
      label: t('Category'),
      value: ({ category }) => category,
      show: ({ category }) => categoryBadge(category),
    },
    {
      key: 'binance',
      label: 'Binance',
      value: (coin) => coin.binance_symbol,
      show: (coin) => coin.binance_symbol ?? NOTHING,
    },
    { key: 'okx', label: 'OKX', value: (coin) => coin.okx_symbol, show: (coin) => coin.okx_symbol ?? NOTHING },
    {
      key: 'state',
      label: t('State'),
      value: (candidate) => stateText(candidate, free),
      show: (candidate) => stateNode(candidate, free),
    },
  ];
}

/**
 * @param {Candidate & { at: number }} candidate
 * @param {Set<number>} free
 */
function stateText({ known, binance_symbol: binance, okx_symbol: okx, at }, free) {
  if (known) return free.has(at) ? t('Inactive: will be reactivated') : t('Already added');
  return binance || okx ? t('New') : t('New, but traded on neither Binance nor OKX');
}

/**
 * @param {Candidate & { at: number }} candidate
 * @param {Set<number>} free
 */
function stateNode(candidate, free) {
  const tradable = Boolean(candidate.binance_symbol || candidate.okx_symbol);
  const kind = candidate.known ? 'badge-muted' : tradable ? 'badge-ok' : 'badge-warn';
  return element('span', { class: `badge ${kind}`, 'data-testid': 'candidate-state' }, stateText(candidate, free));
}
