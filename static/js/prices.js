/**
 * The last known price of each coin, fed by the stream and by one first fetch.
 *
 * @typedef {object} Price
 * @property {number} price
 * @property {number | null} change_24h percent
 * @property {string} source
 * @property {number} age_seconds when it was received
 * @property {boolean} stale
 * @property {string | number} [timestamp] market time
 * @property {number} receivedAt performance.now() of its receipt
 */

import { get } from './api.js';
import { formatAge } from './format.js';
import { t } from './i18n.js';
import { substitute } from './sources.js';
import { subscribe } from './stream.js';

/**
 * A price that no newer one has followed for so long is old, whatever it said of itself when it came:
 * one that stands still, but is fresh, is told again within ten seconds.
 */
export const OLD_AFTER_SECONDS = 20;

/** @type {Map<string, Price>} */
const prices = new Map();
/** @type {Set<(coins: string[]) => void>} */
const listeners = new Set();

/** @param {string} coin */
export const priceOf = (coin) => prices.get(coin);

/** @param {Price} price */
export const ageSeconds = (price) => price.age_seconds + (performance.now() - price.receivedAt) / 1000;

/** @param {Price} price */
export function isStale(price) {
  return price.stale || ageSeconds(price) > OLD_AFTER_SECONDS;
}

/**
 * What a reader should know of a price: how old it is when it is old, and else who serves it where
 * that is not the source that is asked first.
 *
 * @param {Price | undefined} price
 */
export function priceNote(price) {
  if (!price) return '';
  return isStale(price) ? t('%(age)s old', { age: formatAge(ageSeconds(price)) }) : substitute(price.source);
}

/** Told which coins have a new price. @param {(coins: string[]) => void} listener */
export function onPrices(listener) {
  listeners.add(listener);
}

/** @param {string[]} coins */
export async function fetchPrices(coins) {
  if (coins.length) receive(await get('/api/market/prices', { coins: coins.join(',') }));
}

/** @param {Record<string, Omit<Price, 'receivedAt'>>} update */
function receive(update) {
  const receivedAt = performance.now();
  for (const [coin, price] of Object.entries(update)) prices.set(coin, { ...price, receivedAt });
  for (const listener of listeners) listener(Object.keys(update));
}

subscribe('price', receive);
