/** How the candles' chart looks, in the page's theme, and bars in the words of Lightweight Charts. */

import { CrosshairMode, LineStyle } from '../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs';
import { chartFont, onDisplayChange, tokenColor, tokenColorFaded } from './chart-theme.js';
import { formatNumber, formatTime, formatVolume } from './format.js';
import { tickText } from './zoned-time-scale.js';

/** @typedef {import('./klines.js').Bar} Bar */

/** @param {number} milliseconds */
export const seconds = (milliseconds) => /** @type {import('lightweight-charts').UTCTimestamp} */ (milliseconds / 1000);

/** @param {Bar} bar */
export function candle({ timestamp, open, high, low, close }) {
  return { time: seconds(timestamp), open, high, low, close };
}

/** @param {Bar} bar */
export function volumeBar({ timestamp, open, close, volume }) {
  const color = tokenFaded(close < open ? '--down-chart' : '--up-chart');
  return { time: seconds(timestamp), value: volume, color };
}

/** @type {Map<string, string>} */
const fadedColors = new Map();
onDisplayChange(() => fadedColors.clear());

/** Thousands of bars need the same two colours. @param {string} token */
export function tokenFaded(token) {
  let color = fadedColors.get(token);
  if (!color) {
    color = tokenColorFaded(token, 0.4);
    fadedColors.set(token, color);
  }
  return color;
}

export function chartOptions() {
  const { size, family } = chartFont();
  const grid = { color: tokenColor('--grid') };
  const crosshair = { color: tokenColor('--crosshair'), labelBackgroundColor: tokenColor('--border-strong') };
  return {
    autoSize: true,
    layout: {
      attributionLogo: false, // ours stands instead: the library's needs an inline style
      background: { type: 'solid', color: tokenColor('--surface') },
      textColor: tokenColor('--text-muted'),
      fontSize: size,
      fontFamily: family,
      panes: { separatorColor: tokenColor('--border'), separatorHoverColor: tokenColor('--hover') },
    },
    grid: { vertLines: grid, horzLines: grid },
    crosshair: { mode: CrosshairMode.Normal, vertLine: crosshair, horzLine: crosshair },
    rightPriceScale: { borderColor: tokenColor('--border'), entireTextOnly: true, scaleMargins: { top: 0.06, bottom: 0.06 } },
    timeScale: {
      borderColor: tokenColor('--border'),
      timeVisible: true,
      secondsVisible: false,
      rightOffset: 4,
      minBarSpacing: 0.5,
      tickMarkFormatter: tickText,
    },
    // A finger that goes up or down scrolls the page.
    handleScroll: { vertTouchDrag: false },
    kineticScroll: { touch: !matchMedia('(prefers-reduced-motion: reduce)').matches, mouse: false },
    localization: { timeFormatter: (/** @type {number} */ time) => formatTime(time * 1000, 'minute') },
  };
}

export function candleOptions() {
  const [up, down] = [tokenColor('--up-chart'), tokenColor('--down-chart')];
  return { upColor: up, borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down };
}

/** @returns {import('lightweight-charts').LineSeriesPartialOptions} */
export function lineOptions() {
  return { lineWidth: 1, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false };
}

/** @returns {import('lightweight-charts').LineSeriesPartialOptions} */
export function tripOptions() {
  return { ...lineOptions(), lineWidth: 2, lineStyle: LineStyle.Dashed, pointMarkersVisible: true };
}

/**
 * @param {number} decimals
 * @returns {import('lightweight-charts').PriceFormatCustom}
 */
export function priceFormat(decimals) {
  return {
    type: 'custom',
    minMove: Number((10 ** -decimals).toFixed(decimals)),
    formatter: (/** @type {number} */ price) => formatNumber(price, decimals),
  };
}

/** @returns {import('lightweight-charts').PriceFormatCustom} */
export function volumeFormat() {
  return { type: 'custom', minMove: 1e-8, formatter: formatVolume };
}
