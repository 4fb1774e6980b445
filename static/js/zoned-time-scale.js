/**
 * Lightweight Charts' time axis in the chosen zone: days, months and years begin where the zone's do.
 * The library itself weighs its ticks by UTC alone.
 */

import { defaultHorzScaleBehavior, TickMarkType } from '../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs';
import { formatTime, timeZone } from './format.js';

/** The library's weights: how deserving of a tick the first bar of a year, month, day … is. */
const WEIGHTS = { year: 70, month: 60, day: 50, minute: 20, second: 10 };
/** @type {[seconds: number, weight: number][]} */
const CLOCK_WEIGHTS = [
  [12 * 3600, 33],
  [6 * 3600, 32],
  [3 * 3600, 31],
  [3600, 30],
  [1800, 22],
  [300, 21],
  [60, WEIGHTS.minute],
];
const DAY_SECONDS = 86_400;

export class ZonedTimeScale extends defaultHorzScaleBehavior() {
  /**
   * @param {readonly { timeWeight: any, originalTime: unknown }[]} points
   * @param {number} startIndex
   */
  fillWeightsForPoints(points, startIndex) {
    const first = Number(points[0]?.originalTime);
    const second = Number(points[1]?.originalTime ?? first + 60);
    let previous = zoned(startIndex > 0 ? Number(points[startIndex - 1]?.originalTime) : 2 * first - second);
    for (const point of points.slice(startIndex)) {
      const time = zoned(Number(point.originalTime));
      point.timeWeight = weight(previous, time);
      previous = time;
    }
  }
}

/** Seconds since 1970 on the clock of the zone. @param {number} seconds */
function zoned(seconds) {
  return timeZone() === 'UTC' ? seconds : seconds - new Date(seconds * 1000).getTimezoneOffset() * 60;
}

/**
 * @param {number} previous
 * @param {number} time
 */
function weight(previous, time) {
  if (Math.floor(previous / DAY_SECONDS) !== Math.floor(time / DAY_SECONDS)) {
    const [before, now] = [new Date(previous * 1000), new Date(time * 1000)];
    if (before.getUTCFullYear() !== now.getUTCFullYear()) return WEIGHTS.year;
    return before.getUTCMonth() === now.getUTCMonth() ? WEIGHTS.day : WEIGHTS.month;
  }
  const step = CLOCK_WEIGHTS.find(([length]) => Math.floor(previous / length) !== Math.floor(time / length));
  return step ? step[1] : WEIGHTS.second;
}

/**
 * The text under a tick.
 *
 * @param {unknown} seconds
 * @param {number} type
 */
export function tickText(seconds, type) {
  const time = Number(seconds) * 1000;
  if (type === TickMarkType.Year) return formatTime(time, 'year');
  if (type === TickMarkType.Month) return formatTime(time, 'month');
  return formatTime(time, type === TickMarkType.DayOfMonth ? 'monthDay' : 'clock');
}
