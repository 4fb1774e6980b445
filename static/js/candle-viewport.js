/**
 * Which bars are in view, and moving that.
 *
 * @typedef {{ from: number, to: number }} View places of bars; parts of a bar count
 */

import { remPixels } from './chart-theme.js';

const FEWEST_BARS = 30;
const MOST_BARS = 400;
const BAR_REM = 0.42;
const BARS_AFTER_NEWEST = 4;
const ZOOM = 0.1;

/**
 * @param {import('lightweight-charts').IChartApiBase<any>} chart
 * @param {HTMLElement} plot
 */
export function candleViewport(chart, plot) {
  const timeScale = chart.timeScale();
  /** The view that was asked for last, until the chart's next frame shows it. @type {View | null} */
  let asked = null;
  let movedAt = -Infinity;
  timeScale.subscribeVisibleLogicalRangeChange(() => {
    movedAt = performance.now();
  });

  /** The view, or the one that the next frame will show. @returns {View | null} */
  const view = () => asked ?? timeScale.getVisibleLogicalRange();

  /** @param {View} wanted */
  function show(wanted) {
    asked = wanted;
    timeScale.setVisibleLogicalRange(wanted);
    requestAnimationFrame(() => {
      if (asked === wanted) asked = null;
    });
  }

  /** @param {number} bars to the right */
  function pan(bars) {
    const now = view();
    if (now) show({ from: now.from + bars, to: now.to + bars });
  }

  /** @param {'in' | 'out'} direction around the middle */
  function zoom(direction) {
    const now = view();
    if (!now) return;
    const change = (now.to - now.from) * (direction === 'in' ? ZOOM : -ZOOM);
    show({ from: now.from + change, to: now.to - change });
  }

  /** How many bars are in view when nobody zoomed. */
  const usualWidth = () => Math.min(MOST_BARS, Math.max(FEWEST_BARS, Math.floor(plot.clientWidth / remPixels(BAR_REM))));

  return {
    view,
    show,
    pan,
    zoom,
    usualWidth,
    /** How long nothing has moved, in milliseconds. */
    restedFor: () => performance.now() - movedAt,
    /** @param {number} bars how many there are */
    showLatest: (bars) => show({ from: bars - usualWidth(), to: bars + BARS_AFTER_NEWEST }),
    /** With room on both sides. @param {number} first place of a bar @param {number} last */
    showAround(first, last) {
      const held = last - first;
      const margin = Math.max(12, (usualWidth() / 2 - held) / 2, held * 0.2);
      show({ from: first - margin, to: last + margin });
    },
  };
}
