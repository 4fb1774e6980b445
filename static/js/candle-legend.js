/** The lines above the candles: one bar's open, high, low, close, change and volume, and what lies over it. */

import { element, replaceContent } from './element.js';
import { directionClass, formatNumber, formatPercent, formatTime, formatVolume } from './format.js';
import { t } from './i18n.js';

/** @typedef {import('./klines.js').Bar} Bar */
/** @typedef {{ name: string, color: string, text: string, direction?: string }} LegendValue */

export function candleLegend() {
  const barLine = element('div', { class: 'candle-legend-bar' });
  const valueLine = element('div', { class: 'candle-legend-values', hidden: true });
  const node = element('div', { class: 'candle-legend', 'data-testid': 'candle-legend' }, barLine, valueLine);
  return {
    node,
    /** What it says, entry by entry. */
    texts: () => [...node.querySelectorAll('.candle-legend-entry')].map(({ textContent }) => (textContent ?? '').trim()),
    /**
     * @param {Bar | null} bar
     * @param {Bar | null} previous
     * @param {LegendValue[]} values of the indicators over the candles and of compared coins
     * @param {number} decimals of prices
     */
    show(bar, previous, values, decimals) {
      valueLine.hidden = !bar || !values.length;
      replaceContent(barLine, ...(bar ? barEntries(bar, previous, decimals) : []));
      replaceContent(valueLine, ...(bar ? values.map(valueEntry) : []));
    },
  };
}

/**
 * @param {Bar} bar
 * @param {Bar | null} previous
 * @param {number} decimals
 */
function barEntries(bar, previous, decimals) {
  const change = previous ? (100 * (bar.close - previous.close)) / previous.close : null;
  const direction = directionClass(bar.close - bar.open);
  const price = (/** @type {number} */ value) => formatNumber(value, decimals);
  return [
    entry(formatTime(bar.timestamp, 'minute'), '', 'muted'),
    entry(t('O'), price(bar.open), direction),
    entry(t('H'), price(bar.high), direction),
    entry(t('L'), price(bar.low), direction),
    entry(t('C'), price(bar.close), direction),
    entry('', formatPercent(change), directionClass(change)),
    entry(t('Vol'), formatVolume(bar.volume), ''),
  ];
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} direction
 */
function entry(name, value, direction) {
  return element(
    'span',
    { class: 'candle-legend-entry' },
    name ? element('span', { class: 'muted' }, name) : null,
    name && value ? ' ' : null,
    value ? element('span', { class: direction }, value) : null,
    ' ',
  );
}

/** @param {LegendValue} value */
function valueEntry({ name, color, text, direction = '' }) {
  const label = element('span', {}, name);
  label.style.color = `var(${color})`;
  return element('span', { class: 'candle-legend-entry' }, label, ' ', element('span', { class: direction }, text), ' ');
}
