/**
 * Moving averages of closes, the same as the strategies' but for rounding.
 *
 * @typedef {'sma' | 'ema'} AverageKind
 */

/**
 * @param {AverageKind} kind
 * @param {readonly number[]} closes
 * @param {number} length bars
 * @returns {number[]} as long as the closes; NaN while there are too few
 */
export function movingAverage(kind, closes, length) {
  return kind === 'sma' ? simpleAverage(closes, length) : exponentialAverage(closes, length);
}

/**
 * @param {readonly number[]} closes
 * @param {number} length
 */
function simpleAverage(closes, length) {
  const averages = [];
  let sum = 0;
  for (const [index, close] of closes.entries()) {
    sum += close - (index >= length ? /** @type {number} */ (closes[index - length]) : 0);
    averages.push(index >= length - 1 ? sum / length : NaN);
  }
  return averages;
}

/**
 * @param {readonly number[]} closes
 * @param {number} length
 */
function exponentialAverage(closes, length) {
  const weight = 2 / (length + 1);
  const averages = [];
  let average = NaN;
  for (const [index, close] of closes.entries()) {
    average = index === 0 ? close : average + weight * (close - average);
    averages.push(index >= length - 1 ? average : NaN);
  }
  return averages;
}
