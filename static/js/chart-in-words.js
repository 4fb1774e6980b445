/** A chart for those who do not see it: what is in view in a sentence, and its last bars as a table. */

import { element, setText } from './element.js';
import { emptyState } from './failure.js';
import { formatNumber, formatPercent, formatTime, formatVolume, directionClass, priceDecimals } from './format.js';
import { t } from './i18n.js';
import { dataTable } from './table.js';
import { throttle } from './throttle.js';

/** @typedef {import('./klines.js').Bar} Bar */
/** @typedef {Bar & { change: number | null, decimals: number }} BarRow */

const LAST_BARS = 50;
const EVERY_MS = 1_000;

/**
 * @param {import('./candle-chart.js').CandleChart} chart
 * @param {HTMLDetailsElement} details of the table
 * @param {HTMLElement} container in it
 */
export function chartInWords(chart, details, container) {
  const sentence = element('p', { class: 'sr-only', id: 'chart-in-words', 'data-testid': 'chart-in-words' });
  details.before(sentence);
  chart.plot.setAttribute('aria-describedby', sentence.id);
  const table = dataTable(container, {
    label: t('The last candles'),
    columns: columns(),
    keyOf: (/** @type {BarRow} */ { timestamp }) => timestamp,
    order: '-time',
    testId: 'last-bars',
    empty: () => emptyState(t('There are no candles.')),
  });
  const update = throttle(() => {
    setText(sentence, inView(chart.barsInView()));
    if (details.open) table.update(lastRows(chart.bars));
  }, EVERY_MS);
  details.addEventListener('toggle', update);
  return { update };
}

/** @param {readonly Bar[]} bars */
function inView(bars) {
  const [first, last] = [bars[0], bars.at(-1)];
  if (!first || !last) return t('No candles are in view.');
  const decimals = priceDecimals(last.close);
  const price = (/** @type {number} */ value) => formatNumber(value, decimals);
  return t('%(count)s candles from %(first)s to %(last)s in view: lowest %(low)s, highest %(high)s, last %(close)s, %(change)s.', {
    count: bars.length,
    first: formatTime(first.timestamp),
    last: formatTime(last.timestamp),
    low: price(Math.min(...bars.map(({ low }) => low))),
    high: price(Math.max(...bars.map(({ high }) => high))),
    close: price(last.close),
    change: formatPercent(100 * (last.close / first.open - 1)),
  });
}

/** @param {readonly Bar[]} bars @returns {BarRow[]} */
function lastRows(bars) {
  const decimals = priceDecimals(bars.at(-1)?.close ?? 1);
  const start = Math.max(0, bars.length - LAST_BARS);
  return bars.slice(start).map((bar, index) => {
    const before = bars[start + index - 1];
    return { ...bar, decimals, change: before ? 100 * (bar.close / before.close - 1) : null };
  });
}

/** @returns {import('./table.js').Column<BarRow>[]} */
function columns() {
  /** @param {'open' | 'high' | 'low' | 'close'} key @param {string} label */
  const price = (key, label) => ({
    key, label, number: true, value: (/** @type {BarRow} */ row) => row[key], show: (/** @type {BarRow} */ row) => formatNumber(row[key], row.decimals),
  });
  return [
    { key: 'time', label: t('Time'), value: ({ timestamp }) => timestamp, show: ({ timestamp }) => formatTime(timestamp) },
    price('open', t('Open price')),
    price('high', t('High')),
    price('low', t('Low')),
    price('close', t('Close price')),
    {
      key: 'change', label: t('Change'), number: true, value: ({ change }) => change,
      show: ({ change }) => formatPercent(change), className: ({ change }) => directionClass(change),
    },
    { key: 'volume', label: t('Volume'), number: true, value: ({ volume }) => volume, show: ({ volume }) => formatVolume(volume) },
  ];
}
