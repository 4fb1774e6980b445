/** Live prices of many coins on a page: each node knows its coin, and is filled when prices come. */

import { element } from './element.js';
import { directionClass, formatPercent, formatPrice } from './format.js';
import { isStale, priceNote, priceOf } from './prices.js';

/** @param {string} symbol */
export function priceNode(symbol) {
  const node = element('span', { 'data-price': symbol, 'data-testid': 'price' });
  fillPrice(node, symbol);
  return node;
}

/** The change in 24 hours. @param {string} symbol */
export function changeNode(symbol) {
  const node = element('span', { 'data-change': symbol, 'data-testid': 'change' });
  fillChange(node, symbol);
  return node;
}

/**
 * Fills what stands under `container` from the prices known now, where it is in sight: of hundreds of
 * rows few are. Called again when others are scrolled into sight.
 *
 * @param {Element} container
 */
export function refreshPrices(container) {
  const nodes = /** @type {NodeListOf<HTMLElement>} */ (container.querySelectorAll('[data-price], [data-change]'));
  for (const node of [...nodes].filter(isInSight)) {
    const { price, change } = node.dataset;
    if (price !== undefined) fillPrice(node, price);
    else fillChange(node, change ?? '');
  }
}

/** @param {HTMLElement} node */
function isInSight(node) {
  if (!node.checkVisibility({ contentVisibilityAuto: true })) return false;
  const { top, bottom } = node.getBoundingClientRect();
  return bottom >= 0 && top <= innerHeight;
}

/**
 * An old price is greyed and says how old it is; one from a substitute says from whom.
 *
 * @param {HTMLElement} node
 * @param {string} symbol
 */
function fillPrice(node, symbol) {
  const price = priceOf(symbol);
  const text = formatPrice(price?.price);
  const note = priceNote(price);
  node.classList.toggle('stale', price !== undefined && isStale(price));
  if (node.textContent === text + note) return;
  node.replaceChildren(text, ...(note ? [element('span', { class: 'cell-note' }, note)] : []));
}

/**
 * @param {HTMLElement} node
 * @param {string} symbol
 */
function fillChange(node, symbol) {
  const price = priceOf(symbol);
  const text = formatPercent(price?.change_24h);
  const name = price && isStale(price) ? 'stale' : directionClass(price?.change_24h);
  if (node.className !== name) node.className = name;
  if (node.textContent !== text) node.textContent = text;
}
