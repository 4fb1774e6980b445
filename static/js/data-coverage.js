/**
 * Which candles are stored: a row a coin and interval, with a picture of the range and its gaps.
 *
 * @typedef {object} Gap
 * @property {string} start open time of the first bar that is missing
 * @property {string} end open time of the first bar after the gap
 * @property {number} bars
 * @property {boolean} asked whether a source was asked for them and has none
 *
 * @typedef {object} Coverage
 * @property {string} coin
 * @property {string} interval
 * @property {string} source
 * @property {string} from
 * @property {string} to
 * @property {number} bars
 * @property {number} missing_bars
 * @property {Gap[]} gaps the first thousand
 * @property {string[]} archived_months `2024-03`
 *
 * @typedef {[from: number, to: number]} Range milliseconds
 */

import { get } from './api.js';
import { coveragePicture } from './coverage-picture.js';
import { element } from './element.js';
import { emptyState } from './failure.js';
import { formatNumber, formatTime, NOTHING } from './format.js';
import { t } from './i18n.js';
import { intervalLength } from './klines.js';
import { dataTable } from './table.js';
import { sourceName } from './words.js';

/** @param {Coverage} row */
export const coverageKey = ({ coin, interval, source }) => `${coin} ${interval} ${source}`;

/**
 * @param {HTMLElement} container
 * @param {object} options
 * @param {HTMLInputElement} options.filter
 * @param {HTMLInputElement} options.onlyGaps
 * @param {HTMLElement} options.exportButton
 * @param {(row: Coverage) => void} options.onGaps
 * @param {(row: Coverage) => void} options.onSync
 * @param {() => void} options.onFirst asked for where nothing is stored
 */
export function coverageTable(container, { filter, onlyGaps, exportButton, onGaps, onSync, onFirst }) {
  /** @type {Coverage[]} */
  let rows = [];
  /** What the pictures of an interval show, so that they can be compared. @type {Map<string, Range>} */
  let ranges = new Map();
  const table = dataTable(container, {
    label: t('Stored candles'),
    testId: 'coverage',
    urlKey: 'coverage',
    order: 'coin',
    fileName: 'coverage',
    filter,
    exportButton,
    keyOf: coverageKey,
    empty: () => (rows.length ? emptyState(t('No stored series has gaps.')) : nothingStored(onFirst)),
    columns: columns(({ interval }) => ranges.get(interval) ?? [0, 1]),
  });

  container.addEventListener('click', (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest('button');
    const key = button?.closest('tr')?.dataset['key'];
    const row = rows.find((candidate) => coverageKey(candidate) === key);
    if (row && button?.dataset['action'] === 'gaps') onGaps(row);
    if (row && button?.dataset['action'] === 'sync') onSync(row);
  });
  onlyGaps.addEventListener('change', show);

  function show() {
    table.update(onlyGaps.checked ? rows.filter(({ gaps }) => gaps.length > 0) : rows);
  }

  async function load() {
    rows = await get('/api/data/coverage');
    ranges = rangesOf(rows);
    show();
  }

  return { load };
}

/**
 * From the first bar of any coin to the last one's end, by interval.
 *
 * @param {readonly Coverage[]} rows
 * @returns {Map<string, Range>}
 */
function rangesOf(rows) {
  /** @type {Map<string, Range>} */
  const ranges = new Map();
  for (const { interval, from, to } of rows) {
    const [first, last] = [Date.parse(from), Date.parse(to) + intervalLength(interval)];
    const [earliest, latest] = ranges.get(interval) ?? [first, last];
    ranges.set(interval, [Math.min(earliest, first), Math.max(latest, last)]);
  }
  return ranges;
}

/** @param {() => void} onFirst */
function nothingStored(onFirst) {
  const button = element('button', { type: 'button', class: 'button button-primary', onclick: onFirst, 'data-testid': 'sync-first' }, t('Sync candles'));
  return emptyState(t('No candles are stored yet. Sync some from an exchange, or import a file of Binance’s public archive.'), button);
}

/** @param {(row: Coverage) => Range} rangeOf @returns {import('./table.js').Column<Coverage>[]} */
function columns(rangeOf) {
  return [
    { key: 'coin', label: t('Coin'), value: ({ coin }) => coin, show: coinCell },
    { key: 'interval', label: t('Interval'), value: ({ interval }) => interval },
    { key: 'picture', label: t('Stored range'), value: ({ from }) => from, show: (row) => coveragePicture(row, rangeOf(row)), className: () => 'coverage-cell' },
    { key: 'from', label: t('From'), number: true, value: ({ from }) => from, show: ({ from }) => formatTime(from) },
    { key: 'to', label: t('To'), number: true, value: ({ to }) => to, show: ({ to }) => formatTime(to) },
    { key: 'bars', label: t('Bars'), number: true, value: ({ bars }) => bars, show: ({ bars }) => formatNumber(bars) },
    { key: 'gaps', label: t('Missing'), number: true, value: (row) => row.missing_bars, show: gapsCell },
    { key: 'archived', label: t('Archived months'), number: true, value: (row) => row.archived_months.length, show: archivedCell },
    { key: 'actions', label: t('Actions'), show: syncButton, className: () => 'actions' },
  ];
}

/** @param {Coverage} row */
function coinCell({ coin, interval, source }) {
  const link = element('a', { class: 'coin', href: `/charts?coin=${encodeURIComponent(coin)}&interval=${interval}` }, coin);
  return element('span', {}, link, element('span', { class: 'cell-note' }, sourceName(source)));
}

/** @param {Coverage} row */
function gapsCell(row) {
  if (!row.gaps.length) return '0';
  const words = t('%(bars)s (gaps: %(gaps)s)', { bars: formatNumber(row.missing_bars), gaps: formatNumber(row.gaps.length) });
  const name = t('Gaps of %(coin)s %(interval)s', { coin: row.coin, interval: row.interval });
  return element('button', { type: 'button', class: 'link-button', 'data-action': 'gaps', 'data-testid': 'show-gaps', title: name }, words);
}

/** @param {Coverage} row */
function archivedCell({ archived_months: months }) {
  if (!months.length) return NOTHING;
  const note = months.length > 1 ? `${months[0]} – ${months.at(-1)}` : months[0];
  return element('span', {}, formatNumber(months.length), element('span', { class: 'cell-note' }, note));
}

/** @param {Coverage} row */
function syncButton({ coin, interval }) {
  const name = t('Sync %(coin)s %(interval)s', { coin, interval });
  return element('button', { type: 'button', class: 'button button-quiet button-small', 'data-action': 'sync', 'data-testid': 'sync-row', 'aria-label': name }, t('Sync'));
}
