/**
 * Lines over the candles, at prices. They are drawn on the candles' own series, so that they stay with
 * them on every scale (a series of their own would begin at 0 % on a percent scale) and only what is in
 * view costs time.
 *
 * @typedef {object} OverlayLine
 * @property {Float64Array[]} columns one a line, a value a bar, NaN for none; of three, the second and third are a band
 * @property {string} color a design token
 *
 * @typedef {import('lightweight-charts').ISeriesPrimitive<any>} SeriesPrimitive
 * @typedef {{ context: CanvasRenderingContext2D, horizontalPixelRatio: number, verticalPixelRatio: number }} BitmapScope
 */

import { tokenColor } from './chart-theme.js';

const BAND_OPACITY = 0.08;

/** @implements {SeriesPrimitive} */
export class CandleOverlay {
  /** With the colours of now, which each frame needs. @type {readonly OverlayLine[]} */
  #lines = [];
  /** @type {import('lightweight-charts').SeriesAttachedParameter<any> | null} */
  #host = null;
  #views = [{ zOrder: () => /** @type {const} */ ('normal'), renderer: () => ({ draw: (/** @type {any} */ target) => this.#paint(target) }) }];

  /** @param {import('lightweight-charts').SeriesAttachedParameter<any>} host */
  attached(host) {
    this.#host = host;
  }

  paneViews() {
    return this.#views;
  }

  /** @param {readonly OverlayLine[]} lines */
  show(lines) {
    this.#lines = lines.map(({ columns, color }) => ({ columns, color: tokenColor(color) }));
    this.#host?.requestUpdate();
  }

  /**
   * What the scale has to hold besides the candles.
   *
   * @param {number} first place of a bar
   * @param {number} last
   */
  autoscaleInfo(first, last) {
    let [minValue, maxValue] = [Infinity, -Infinity];
    for (const column of this.#lines.flatMap(({ columns }) => columns)) {
      for (let index = Math.max(0, Math.ceil(first)); index <= last && index < column.length; index++) {
        const value = /** @type {number} */ (column[index]);
        if (value < minValue) minValue = value;
        if (value > maxValue) maxValue = value;
      }
    }
    return minValue <= maxValue ? { priceRange: { minValue, maxValue } } : null;
  }

  /** @param {any} target */
  #paint(target) {
    const range = this.#host?.chart.timeScale().getVisibleLogicalRange();
    if (!range) return;
    target.useBitmapCoordinateSpace((/** @type {BitmapScope} */ scope) => {
      for (const { columns, color } of this.#lines) {
        const [middle, upper, lower] = columns.map((column) => this.#points(column, range, scope));
        scope.context.strokeStyle = scope.context.fillStyle = color;
        scope.context.lineWidth = scope.verticalPixelRatio;
        scope.context.lineJoin = 'round';
        if (upper && lower) fillBetween(scope.context, upper, lower);
        for (const line of [middle, upper, lower]) if (line) strokeLine(scope.context, line);
      }
    });
  }

  /**
   * @param {Float64Array} column
   * @param {{ from: number, to: number }} range
   * @param {BitmapScope} scope
   * @returns {[x: number, y: number][]} no more than one a pixel
   */
  #points(column, { from, to }, { horizontalPixelRatio, verticalPixelRatio }) {
    const { chart, series } = /** @type {import('lightweight-charts').SeriesAttachedParameter<any>} */ (this.#host);
    const timeScale = chart.timeScale();
    const step = Math.max(1, Math.floor(1 / timeScale.options().barSpacing));
    /** @type {[number, number][]} */
    const points = [];
    for (let index = Math.max(0, Math.floor(from) - step); index < Math.min(column.length, to + 1 + step); index += step) {
      const value = /** @type {number} */ (column[index]);
      const x = timeScale.logicalToCoordinate(/** @type {import('lightweight-charts').Logical} */ (index));
      const y = Number.isNaN(value) ? null : series.priceToCoordinate(value);
      if (x !== null && y !== null) points.push([x * horizontalPixelRatio, y * verticalPixelRatio]);
    }
    return points;
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {[x: number, y: number][]} points without a hole: a line has none but before its first
 */
function strokeLine(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {[x: number, y: number][]} upper
 * @param {[x: number, y: number][]} lower
 */
function fillBetween(context, upper, lower) {
  context.beginPath();
  for (const [x, y] of [...upper, ...lower.toReversed()]) context.lineTo(x, y);
  context.globalAlpha = BAND_OPACITY;
  context.fill();
  context.globalAlpha = 1;
}
