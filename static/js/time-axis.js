/** Where a time axis has its ticks and what stands under them, in the chosen time zone. */

import { formatTime, timeZone } from './format.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const SHORT_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 5, 10].map((days) => days * DAY),
];
const MONTH_STEPS = [1, 2, 3, 6, 12, 24, 60, 120];

/**
 * @param {number} from milliseconds
 * @param {number} to milliseconds
 * @param {number} most how many ticks there is room for
 * @returns {{ time: number, label: string }[]}
 */
export function timeTicks(from, to, most) {
  if (!(to > from)) return [{ time: from, label: formatTime(from, 'short') }];
  const step = SHORT_STEPS.find((candidate) => (to - from) / candidate <= most);
  const times = step === undefined ? monthTimes(from, to, most) : shortTimes(from, to, step);
  return times.map((time) => ({ time, label: tickLabel(time, step ?? Infinity) }));
}

/** @param {number} time */
const zoneOffset = (time) => (timeZone() === 'UTC' ? 0 : -new Date(time).getTimezoneOffset() * MINUTE);

/**
 * @param {number} from
 * @param {number} to
 * @param {number} step
 */
function shortTimes(from, to, step) {
  const offset = zoneOffset(from);
  const times = [];
  for (let time = Math.ceil((from + offset) / step) * step - offset; time <= to; time += step) {
    // Midnights stay midnights over a change of the clocks.
    times.push(step >= DAY ? time + offset - zoneOffset(time) : time);
  }
  return times;
}

/**
 * @param {number} from
 * @param {number} to
 * @param {number} most
 */
function monthTimes(from, to, most) {
  const months = (to - from) / (30.4 * DAY);
  const step = MONTH_STEPS.find((candidate) => months / candidate <= most) ?? 120;
  const first = new Date(from + zoneOffset(from));
  const times = [];
  for (let month = Math.floor(first.getUTCMonth() / step) * step; ; month += step) {
    const midnight = Date.UTC(first.getUTCFullYear(), month, 1);
    const time = midnight - zoneOffset(midnight);
    if (time > to) return times;
    if (time >= from) times.push(time);
  }
}

/**
 * @param {number} time
 * @param {number} step
 */
function tickLabel(time, step) {
  if (step === Infinity) return formatTime(time, 'month');
  const midnight = (time + zoneOffset(time)) % DAY === 0;
  return formatTime(time, step >= DAY || midnight ? 'monthDay' : 'clock');
}
