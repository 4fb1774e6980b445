/** A stored series as a strip: what is there, what of it lies in the archive, and the gaps. */

import { element } from './element.js';
import { formatNumber, formatTime } from './format.js';
import { t } from './i18n.js';
import { intervalLength } from './klines.js';

const SVG = 'http://www.w3.org/2000/svg';
/** A gap of one bar in a year of them is still seen. */
const NARROWEST_PERCENT = 0.6;

/**
 * @param {import('./data-coverage.js').Coverage} row
 * @param {[from: number, to: number]} range what the strip's width stands for, milliseconds
 */
export function coveragePicture(row, range) {
  const picture = document.createElementNS(SVG, 'svg');
  const story = coverageStory(row);
  picture.setAttribute('class', 'coverage-picture');
  picture.setAttribute('role', 'img');
  picture.setAttribute('aria-label', story);
  picture.append(titleOf(story));
  const from = Date.parse(row.from);
  const to = Date.parse(row.to) + intervalLength(row.interval);
  picture.append(strip('coverage-stored', from, to, range));
  for (const month of row.archived_months) {
    const [start, end] = monthBounds(month);
    picture.append(strip('coverage-archived', Math.max(start, from), Math.min(end, to), range));
  }
  for (const { start, end } of row.gaps) picture.append(strip('coverage-gap', Date.parse(start), Date.parse(end), range));
  return element('span', { 'data-testid': 'coverage-picture' }, picture);
}

/** @param {import('./data-coverage.js').Coverage} row */
function coverageStory({ coin, interval, from, to, gaps, archived_months: months }) {
  const counts = { gaps: formatNumber(gaps.length), months: formatNumber(months.length) };
  const kept = t('gaps: %(gaps)s, archived months: %(months)s', counts);
  return `${coin} ${interval}: ${formatTime(from)} – ${formatTime(to)}, ${kept}`;
}

/** @param {string} text */
function titleOf(text) {
  const title = document.createElementNS(SVG, 'title');
  title.textContent = text;
  return title;
}

/**
 * @param {string} name of the class
 * @param {number} start milliseconds
 * @param {number} end milliseconds
 * @param {[from: number, to: number]} range
 */
function strip(name, start, end, [from, to]) {
  const node = document.createElementNS(SVG, 'rect');
  const percent = (/** @type {number} */ length) => (100 * length) / (to - from);
  const width = Math.max(NARROWEST_PERCENT, percent(end - start));
  node.setAttribute('class', name);
  node.setAttribute('x', `${Math.min(percent(start - from), 100 - width).toFixed(2)}%`);
  node.setAttribute('width', `${width.toFixed(2)}%`);
  node.setAttribute('height', '100%');
  return node;
}

/** @param {string} month `2024-03` @returns {[start: number, end: number]} milliseconds UTC */
function monthBounds(month) {
  const [year, number] = month.split('-').map(Number);
  return [Date.UTC(Number(year), Number(number) - 1), Date.UTC(Number(year), Number(number))];
}
