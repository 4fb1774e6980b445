/** Bars of how many values lie where: losses at the left, profits at the right. */

import { element, replaceContent } from './element.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';

const ABOUT_BINS = 24;
const MOST_BINS = 60;
const ROUND_STEPS = [1, 2, 2.5, 5, 10];

/** @typedef {{ low: number, high: number, count: number }} Bin */

/**
 * Bins of a round width that meet at zero; what lies far out is in the first and the last.
 *
 * @param {readonly number[]} values
 * @returns {Bin[]}
 */
export function binsOf(values) {
  if (!values.length) return [];
  const sorted = [...values].sort((one, other) => one - other);
  const at = (/** @type {number} */ share) => /** @type {number} */ (sorted[Math.round(share * (sorted.length - 1))]);
  const width = roundStep((at(0.99) - at(0.01)) / ABOUT_BINS || Math.abs(at(0.5)) / ABOUT_BINS || 1);
  const first = Math.max(Math.floor(at(0) / width), Math.floor(at(0.01) / width) - 2);
  const last = Math.min(Math.floor(at(1) / width), Math.floor(at(0.99) / width) + 2, first + MOST_BINS);
  const bins = Array.from({ length: last - first + 1 }, (_, place) => ({ low: (first + place) * width, high: (first + place + 1) * width, count: 0 }));
  for (const value of values) {
    const place = Math.min(Math.max(Math.floor(value / width) - first, 0), bins.length - 1);
    /** @type {Bin} */ (bins[place]).count += 1;
  }
  return bins;
}

/** @param {number} raw above 0 */
function roundStep(raw) {
  const power = 10 ** Math.floor(Math.log10(raw));
  return (ROUND_STEPS.find((step) => step * power >= raw * 0.999) ?? 10) * power;
}

/**
 * @param {HTMLElement} container
 * @param {readonly number[]} values
 * @param {{ label: string, format: (value: number) => string }} words what is counted, for screen
 *   readers, and how a value is written
 */
export function showHistogram(container, values, { label, format }) {
  const bins = binsOf(values);
  const most = Math.max(...bins.map(({ count }) => count), 1);
  const bars = bins.map((bin) => {
    const title = t('%(low)s to %(high)s: %(count)s', { low: format(bin.low), high: format(bin.high), count: formatNumber(bin.count) });
    const bar = element('div', { class: `histogram-bar ${bin.high <= 0 ? 'histogram-down' : 'histogram-up'}`, title });
    bar.style.setProperty('--share', String(bin.count / most));
    return bar;
  });
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  const spoken = t('%(label)s: %(count)s, the middle one %(middle)s', { label, count: formatNumber(values.length), middle: format(middle) });
  replaceContent(
    container,
    element('div', { class: 'histogram', role: 'img', 'aria-label': spoken, 'data-testid': 'histogram' }, ...bars),
    element('div', { class: 'histogram-axis', 'aria-hidden': 'true' }, element('span', {}, format(bins[0]?.low ?? 0)), element('span', {}, spoken), element('span', {}, format(bins.at(-1)?.high ?? 0))),
  );
}
