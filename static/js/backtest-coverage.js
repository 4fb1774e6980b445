/**
 * Which candles are stored for the chosen coins, and the range that all of them have.
 *
 * @typedef {{ source: string, first: string, last: string, bars: number, missing_bars: number }} Coverage
 * @typedef {{ start: string, end: string }} DateRange days, `YYYY-MM-DD`
 */

import { get } from './api.js';
import { element, replaceContent } from './element.js';
import { formatNumber, NOTHING } from './format.js';
import { t } from './i18n.js';

/**
 * @param {HTMLElement} container
 * @param {readonly string[]} coins
 * @param {string} interval
 * @returns {Promise<DateRange | null>} the days that all stored coins have in common
 */
export async function showCoverage(container, coins, interval) {
  if (!coins.length) {
    replaceContent(container);
    return null;
  }
  /** @type {Record<string, Coverage | null>} */
  const coverage = await get('/api/coverage', { interval, coins: coins.join(',') });
  const rows = coins.map((coin) => coverageRow(coin, coverage[coin] ?? null));
  const head = element(
    'tr',
    {},
    element('th', { scope: 'col' }, t('Coin')),
    element('th', { scope: 'col' }, t('Stored candles')),
    element('th', { scope: 'col', class: 'number' }, t('Bars')),
    element('th', { scope: 'col', class: 'number' }, t('Missing')),
  );
  const table = element(
    'table',
    { class: 'table coverage-table', 'data-testid': 'coverage', 'aria-label': t('Stored candles of %(interval)s', { interval }) },
    element('thead', {}, head),
    element('tbody', {}, ...rows),
  );
  replaceContent(container, element('div', { class: 'table-scroll', tabindex: 0, role: 'region', 'aria-label': t('Stored candles') }, table));
  return commonRange(coins.flatMap((coin) => coverage[coin] ?? []));
}

/**
 * @param {string} coin
 * @param {Coverage | null} stored
 */
function coverageRow(coin, stored) {
  const cells = stored
    ? [
        element('td', { title: stored.source }, `${day(stored.first)} – ${day(stored.last)}`),
        element('td', { class: 'number' }, formatNumber(stored.bars)),
        element('td', { class: stored.missing_bars ? 'number coverage-missing' : 'number' }, formatNumber(stored.missing_bars)),
      ]
    : [
        element('td', { class: 'muted' }, t('none: fetched from the source when it runs')),
        element('td', { class: 'number muted' }, NOTHING),
        element('td', { class: 'number muted' }, NOTHING),
      ];
  return element('tr', { 'data-testid': `coverage-${coin}` }, element('th', { scope: 'row' }, coin), ...cells);
}

/** The day in UTC, in which the range is counted. @param {string} time */
const day = (time) => time.slice(0, 10);

/** @param {Coverage[]} stored @returns {DateRange | null} */
function commonRange(stored) {
  if (!stored.length) return null;
  const start = stored.map(({ first }) => day(first)).sort().at(-1) ?? '';
  const end = stored.map(({ last }) => day(last)).sort()[0] ?? '';
  return start <= end ? { start, end } : null;
}
