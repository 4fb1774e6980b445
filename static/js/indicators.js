/**
 * Indicators of closes, the same as the strategies' (indicators.py) once their start is forgotten. Pure.
 * Each answers with a value a bar, NaN while there are too few bars before.
 *
 * @typedef {Float64Array | readonly number[]} Closes
 */

/** An average whose start counts for e^-10 has forgotten it, as far as a chart can show: after five spans. */
export const SPANS_TO_FORGET = 5;
/** Wilder's smoothing forgets half as fast. */
export const WILDER_LENGTHS_TO_FORGET = 10;

/**
 * @param {Closes} closes
 * @param {number} length bars
 */
export function simpleAverage(closes, length) {
  const averages = new Float64Array(closes.length).fill(NaN);
  let sum = 0;
  for (let index = 0; index < closes.length; index++) {
    sum += at(closes, index) - (index >= length ? at(closes, index - length) : 0);
    if (index >= length - 1) averages[index] = sum / length;
  }
  return averages;
}

/**
 * Weighs the newest value by 2/(length + 1); begins with the mean of the first `length` values.
 *
 * @param {Closes} values NaN only before the others
 * @param {number} length bars
 */
export function exponentialAverage(values, length) {
  return smoothed(values, length, 2 / (length + 1));
}

/**
 * The mean of the last `length` closes, and `width` standard deviations (of all n) around it.
 *
 * @param {Closes} closes
 * @param {number} length bars
 * @param {number} width
 */
export function bollingerBands(closes, length, width) {
  const middle = simpleAverage(closes, length);
  const lower = new Float64Array(closes.length).fill(NaN);
  const upper = new Float64Array(closes.length).fill(NaN);
  const origin = closes.length ? at(closes, 0) : 0; // squares of distances keep more digits than those of prices
  let sum = 0;
  let squares = 0;
  for (let index = 0; index < closes.length; index++) {
    const value = at(closes, index) - origin;
    const left = index >= length ? at(closes, index - length) - origin : 0;
    sum += value - left;
    squares += value ** 2 - left ** 2;
    if (index < length - 1) continue;
    const distance = width * Math.sqrt(Math.max(0, squares / length - (sum / length) ** 2));
    lower[index] = at(middle, index) - distance;
    upper[index] = at(middle, index) + distance;
  }
  return { lower, middle, upper };
}

/**
 * Wilder's RSI, 0 to 100; 50 where nothing has moved.
 *
 * @param {Closes} closes
 * @param {number} length bars
 */
export function relativeStrength(closes, length) {
  const gains = new Float64Array(closes.length).fill(NaN);
  const losses = new Float64Array(closes.length).fill(NaN);
  for (let index = 1; index < closes.length; index++) {
    const change = at(closes, index) - at(closes, index - 1);
    gains[index] = Math.max(change, 0);
    losses[index] = Math.max(-change, 0);
  }
  const gain = smoothed(gains, length, 1 / length);
  const loss = smoothed(losses, length, 1 / length);
  return gain.map((value, index) => {
    const both = value + at(loss, index);
    return both === 0 ? 50 : (100 * value) / both;
  });
}

/**
 * The fast average less the slow one, the average of that, and the distance of the two.
 *
 * @param {Closes} closes
 * @param {number} fast bars
 * @param {number} slow bars
 * @param {number} signalLength bars
 */
export function macd(closes, fast, slow, signalLength) {
  const slowAverage = exponentialAverage(closes, slow);
  const line = exponentialAverage(closes, fast).map((value, index) => value - at(slowAverage, index));
  const signal = exponentialAverage(line, signalLength);
  const histogram = line.map((value, index) => value - at(signal, index));
  return { line, signal, histogram };
}

/**
 * @param {Closes} values NaN only before the others
 * @param {number} length of the mean that it begins with
 * @param {number} weight of the newest value
 */
function smoothed(values, length, weight) {
  const averages = new Float64Array(values.length).fill(NaN);
  let count = 0;
  let average = 0;
  for (let index = 0; index < values.length; index++) {
    const value = at(values, index);
    if (Number.isNaN(value)) continue;
    count += 1;
    average = count <= length ? average + value / length : average + weight * (value - average);
    if (count >= length) averages[index] = average;
  }
  return averages;
}

/** @param {Closes} values @param {number} index one that is there */
const at = (values, index) => /** @type {number} */ (values[index]);
