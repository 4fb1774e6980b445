/** The order book of a coin: the best prices and what waits at them, asked for anew while in sight. */

import { get } from './api.js';
import { element, replaceContent, setText } from './element.js';
import { emptyState } from './failure.js';
import { formatAge, formatPercent, formatPrice, formatQuantity, priceDecimals } from './format.js';
import { t } from './i18n.js';
import { sourceName } from './words.js';

/** @typedef {[price: number, quantity: number]} Level */
/** @typedef {{ bids: Level[], asks: Level[], source: string }} Depth */

const LEVELS = 12;
const REFRESH_MS = 2_000;
const RETRY_MS = 5_000;
const OLD_AFTER_MS = 12_000;

/** @param {HTMLElement} container */
export function depthPanel(container) {
  const origin = element('span', { class: 'badge badge-muted', 'data-testid': 'depth-origin', hidden: true });
  const title = element('h2', { class: 'card-title' }, t('Order book'));
  const asks = Array.from({ length: LEVELS }, () => levelRow('ask'));
  const bids = Array.from({ length: LEVELS }, () => levelRow('bid'));
  const spread = element('td', { colspan: 3, 'data-testid': 'depth-spread' });
  const table = bookTable([...asks].reverse(), spread, bids);
  const body = element('div', { class: 'depth-body' });
  replaceContent(container, element('div', { class: 'depth-header' }, title, origin), body);
  let coin = '';
  let inSight = false;
  let timer = 0;
  let receivedAt = -Infinity;

  new IntersectionObserver(([entry]) => {
    inSight = entry?.isIntersecting ?? false;
    if (inSight) refresh();
  }).observe(container);
  document.addEventListener('visibilitychange', refresh);
  setInterval(showAge, 1_000);

  /** @param {string} wanted */
  function show(wanted) {
    coin = wanted;
    receivedAt = -Infinity;
    origin.hidden = true;
    replaceContent(body, element('span', { class: 'skeleton depth-skeleton' }));
    refresh();
  }

  function refresh() {
    clearTimeout(timer);
    if (coin && inSight && !document.hidden) ask();
  }

  async function ask() {
    const wanted = coin;
    let pause = REFRESH_MS;
    try {
      const depth = await get(`/api/depth/${encodeURIComponent(wanted)}`, { limit: 20 });
      if (coin === wanted) draw(depth);
    } catch (error) {
      pause = RETRY_MS;
      if (coin === wanted && receivedAt === -Infinity) showNone(error);
    }
    if (coin !== wanted) return; // another question is under way
    clearTimeout(timer);
    timer = setTimeout(refresh, pause);
  }

  /** @param {unknown} error */
  function showNone(error) {
    replaceContent(body, emptyState(error instanceof Error ? error.message : String(error)));
  }

  /** @param {Depth} depth */
  function draw(depth) {
    receivedAt = performance.now();
    const most = Math.max(total(depth.asks), total(depth.bids));
    fillSide(asks, depth.asks, most);
    fillSide(bids, depth.bids, most);
    setText(spread, spreadText(depth));
    if (table.parentNode !== body) replaceContent(body, table);
    origin.dataset['source'] = depth.source;
    showAge();
  }

  function showAge() {
    if (receivedAt === -Infinity) return;
    const age = performance.now() - receivedAt;
    const isOld = age > OLD_AFTER_MS;
    const name = sourceName(origin.dataset['source'] ?? '');
    setText(origin, isOld ? `${name} · ${t('%(age)s old', { age: formatAge(age / 1000) })}` : name);
    origin.className = `badge ${isOld ? 'badge-warn' : 'badge-muted'}`;
    origin.hidden = false;
    body.classList.toggle('stale', isOld);
  }

  return { show };
}

/** @param {readonly Level[]} levels */
const total = (levels) => levels.slice(0, LEVELS).reduce((sum, [, quantity]) => sum + quantity, 0);

/** @param {Depth} depth */
function spreadText({ bids, asks }) {
  const [bid, ask] = [bids[0]?.[0], asks[0]?.[0]];
  if (bid === undefined || ask === undefined) return '';
  return t('Spread %(price)s · %(percent)s', {
    price: (ask - bid).toFixed(Math.min(priceDecimals(ask), 8)),
    percent: formatPercent((100 * (ask - bid)) / ask, false),
  });
}

/** @param {'ask' | 'bid'} side */
function levelRow(side) {
  const cells = [element('td', { class: side === 'ask' ? 'down' : 'up' }), element('td'), element('td', { class: 'muted' })];
  return element('tr', { class: `depth-level depth-${side}`, 'data-testid': `depth-${side}` }, ...cells);
}

/**
 * @param {HTMLTableRowElement[]} rows best first
 * @param {readonly Level[]} levels
 * @param {number} most the total that fills the width
 */
function fillSide(rows, levels, most) {
  let sum = 0;
  for (const [index, row] of rows.entries()) {
    const level = levels[index];
    row.hidden = !level;
    if (!level) continue;
    const [price, quantity] = level;
    sum += quantity;
    const texts = [formatPrice(price), formatQuantity(quantity), formatQuantity(sum)];
    for (const [at, text] of texts.entries()) setText(/** @type {HTMLTableCellElement} */ (row.cells[at]), text);
    row.style.setProperty('--share', `${((100 * sum) / most).toFixed(1)}%`);
  }
}

/**
 * @param {HTMLTableRowElement[]} asks dearest first
 * @param {HTMLTableCellElement} spread
 * @param {HTMLTableRowElement[]} bids best first
 */
function bookTable(asks, spread, bids) {
  const headings = [t('Price'), t('Quantity'), t('Sum')].map((label) => element('th', { scope: 'col' }, label));
  return element(
    'table',
    { class: 'depth-table', 'aria-label': t('Order book'), 'data-testid': 'depth' },
    element('thead', {}, element('tr', {}, ...headings)),
    element('tbody', {}, ...asks, element('tr', { class: 'depth-spread' }, spread), ...bids),
  );
}
