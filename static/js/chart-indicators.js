/**
 * Which indicators a chart can show, with what parameters, and how an address names them:
 * `sma20,bollinger20-2,macd12-26-9`.
 *
 * @typedef {'sma' | 'ema' | 'bollinger' | 'rsi' | 'macd'} IndicatorKind
 *
 * @typedef {object} Parameter
 * @property {string} label
 * @property {number} usual
 * @property {number} min
 * @property {number} max
 * @property {number} step
 *
 * @typedef {object} Kind
 * @property {string} name as traders write it
 * @property {string} description
 * @property {boolean} ownPane whether it stands under the candles, else over them
 * @property {Parameter[]} parameters
 * @property {(closes: Float64Array, ...parameters: number[]) => Float64Array[]} compute its lines
 * @property {(...parameters: number[]) => number} warmUp bars until its values are those of a longer history
 *
 * @typedef {object} Indicator
 * @property {IndicatorKind} kind
 * @property {number[]} parameters
 * @property {string} color a design token
 */

import { t } from './i18n.js';
import {
  bollingerBands, exponentialAverage, macd, relativeStrength, simpleAverage, SPANS_TO_FORGET, WILDER_LENGTHS_TO_FORGET,
} from './indicators.js';

export const MOST_INDICATORS = 8;
export const DEFAULT_INDICATORS = 'sma20,sma50';
const LONGEST = 1000;

/** Colours that neither the first models' markers nor gains and losses have. */
const COLORS = ['--amber', '--series-7', '--series-4', '--series-3', '--series-5', '--series-6', '--series-8', '--series-2'];

/** @param {string} label @param {number} usual @returns {Parameter} */
const bars = (label, usual) => ({ label, usual, min: 1, max: LONGEST, step: 1 });

/** @type {Record<IndicatorKind, Kind>} */
export const KINDS = {
  sma: {
    name: 'SMA',
    description: t('Simple moving average'),
    ownPane: false,
    parameters: [bars(t('Bars'), 20)],
    compute: (closes, length = NaN) => [simpleAverage(closes, length)],
    warmUp: (length = 0) => length,
  },
  ema: {
    name: 'EMA',
    description: t('Exponential moving average'),
    ownPane: false,
    parameters: [bars(t('Bars'), 20)],
    compute: (closes, length = NaN) => [exponentialAverage(closes, length)],
    warmUp: (length = 0) => SPANS_TO_FORGET * length,
  },
  bollinger: {
    name: 'Bollinger',
    description: t('Bollinger bands'),
    ownPane: false,
    parameters: [
      { ...bars(t('Bars'), 20), min: 2 },
      { label: t('Standard deviations'), usual: 2, min: 0.1, max: 10, step: 0.1 },
    ],
    compute: (closes, length = NaN, width = NaN) => {
      const { lower, middle, upper } = bollingerBands(closes, length, width);
      return [middle, upper, lower];
    },
    warmUp: (length = 0) => length,
  },
  rsi: {
    name: 'RSI',
    description: t('Relative strength index'),
    ownPane: true,
    parameters: [{ ...bars(t('Bars'), 14), min: 2 }],
    compute: (closes, length = NaN) => [relativeStrength(closes, length)],
    warmUp: (length = 0) => WILDER_LENGTHS_TO_FORGET * length,
  },
  macd: {
    name: 'MACD',
    description: t('Moving average convergence and divergence'),
    ownPane: true,
    parameters: [bars(t('Fast average'), 12), bars(t('Slow average'), 26), bars(t('Signal'), 9)],
    compute: (closes, fast = NaN, slow = NaN, signalLength = NaN) => {
      const { line, signal, histogram } = macd(closes, fast, slow, signalLength);
      return [line, signal, histogram];
    },
    warmUp: (fast = 0, slow = 0, signalLength = 0) => SPANS_TO_FORGET * (Math.max(fast, slow) + signalLength),
  },
};

/** Whether it stands under the candles, else over them. @param {Indicator} indicator */
export const hasOwnPane = ({ kind }) => KINDS[kind].ownPane;

/** `Bollinger 20 2` @param {Indicator} indicator */
export const indicatorName = ({ kind, parameters }) => [KINDS[kind].name, ...parameters].join(' ');

/** `bollinger20-2` @param {Indicator} indicator */
const indicatorKey = ({ kind, parameters }) => kind + parameters.join('-');

/** @param {readonly Indicator[]} indicators */
export const indicatorsText = (indicators) => indicators.map(indicatorKey).join(',');

/**
 * What of an address can be shown; what cannot is left out.
 *
 * @param {string} text
 * @returns {Indicator[]}
 */
export function indicatorsFrom(text) {
  /** @type {Indicator[]} */
  const indicators = [];
  for (const part of text.split(',')) {
    const [, kind, numbers] = /^([a-z]+)([\d.-]+)$/.exec(part) ?? [];
    if (!kind || !numbers || !isKind(kind) || indicators.length === MOST_INDICATORS) continue;
    const parameters = numbers.split('-').map(Number);
    if (areAllowed(kind, parameters)) indicators.push({ kind, parameters, color: freeColor(indicators) });
  }
  return indicators;
}

/** @param {string} text @returns {text is IndicatorKind} */
const isKind = (text) => Object.hasOwn(KINDS, text);

/** @param {IndicatorKind} kind @param {number[]} values */
function areAllowed(kind, values) {
  const { parameters } = KINDS[kind];
  return values.length === parameters.length && parameters.every((parameter, at) => isAllowed(parameter, values[at] ?? NaN));
}

/** @param {Parameter} parameter @param {number} value */
const isAllowed = ({ min, max, step }, value) =>
  value >= min && value <= max && Math.abs(value / step - Math.round(value / step)) < 1e-9;

/** A usual one that is not yet there. @param {IndicatorKind} kind @param {readonly Indicator[]} others @returns {Indicator} */
export function newIndicator(kind, others) {
  return { kind, parameters: KINDS[kind].parameters.map(({ usual }) => usual), color: freeColor(others) };
}

/** @param {readonly Indicator[]} taken */
function freeColor(taken) {
  const used = new Set(taken.map(({ color }) => color));
  return COLORS.find((color) => !used.has(color)) ?? '--text-muted';
}

/** How many bars before the view all of these need. @param {readonly Indicator[]} indicators */
export function warmUpBars(indicators) {
  return Math.max(0, ...indicators.map(({ kind, parameters }) => KINDS[kind].warmUp(...parameters)));
}
