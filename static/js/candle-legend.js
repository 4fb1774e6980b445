/** The line over the candles: open, high, low, close, change and volume of one bar, and the averages. */

import { element, replaceContent } from './element.js';
import { directionClass, formatNumber, formatPercent, formatTime, formatVolume, NOTHING } from './format.js';
import { t } from './i18n.js';

/** @typedef {import('./klines.js').Bar} Bar */
/** @typedef {{ name: string, color: string, value: number | null }} AverageValue */

export function candleLegend() {
  const node = element('div', { class: 'candle-legend', 'data-testid': 'candle-legend' });
  return {
    node,
    /**
     * @param {Bar | null} bar
     * @param {Bar | null} previous
     * @param {AverageValue[]} averages
     * @param {number} decimals
     */
    show(bar, previous, averages, decimals) {
      if (!bar) return replaceContent(node);
      const change = previous ? (100 * (bar.close - previous.close)) / previous.close : null;
      const direction = directionClass(bar.close - bar.open);
      const price = (/** @type {number} */ value) => formatNumber(value, decimals);
      replaceContent(
        node,
        entry(formatTime(bar.timestamp, 'minute'), '', 'muted'),
        entry(t('O'), price(bar.open), direction),
        entry(t('H'), price(bar.high), direction),
        entry(t('L'), price(bar.low), direction),
        entry(t('C'), price(bar.close), direction),
        entry('', formatPercent(change), directionClass(change)),
        entry(t('Vol'), formatVolume(bar.volume), ''),
        ...averages.map((average) => averageEntry(average, decimals)),
      );
    },
  };
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
    value ? element('span', { class: direction }, value) : null,
    ' ',
  );
}

/**
 * @param {AverageValue} average
 * @param {number} decimals
 */
function averageEntry({ name, color, value }, decimals) {
  const label = element('span', {}, name);
  label.style.color = `var(${color})`;
  return element(
    'span',
    { class: 'candle-legend-entry' },
    label,
    element('span', {}, value === null ? NOTHING : formatNumber(value, decimals)),
    ' ',
  );
}
