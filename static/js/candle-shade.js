/**
 * A shade behind the candles, from their beginning up to a time.
 *
 * @typedef {import('lightweight-charts').ISeriesPrimitive<any>} SeriesPrimitive
 */

import { shadeColor } from './chart-theme.js';

/** @implements {SeriesPrimitive} */
export class CandleShade {
  /** How many bars are in it; none where it is 0. */
  #bars = 0;
  #color = '';
  /** @type {import('lightweight-charts').SeriesAttachedParameter<any> | null} */
  #host = null;
  #views = [{ zOrder: () => /** @type {const} */ ('bottom'), renderer: () => ({ draw: (/** @type {any} */ target) => this.#paint(target) }) }];

  /** @param {import('lightweight-charts').SeriesAttachedParameter<any>} host */
  attached(host) {
    this.#host = host;
  }

  paneViews() {
    return this.#views;
  }

  /** In the colours of now. @param {number} bars that are shaded, from the first one on */
  cover(bars) {
    this.#bars = bars;
    this.#color = shadeColor();
    this.#host?.requestUpdate();
  }

  /** @param {any} target */
  #paint(target) {
    const timeScale = this.#host?.chart.timeScale();
    // The last bar that is shaded, to its right edge.
    const middle = this.#bars && timeScale?.logicalToCoordinate(/** @type {any} */ (this.#bars - 1));
    if (!timeScale || typeof middle !== 'number' || !this.#bars) return;
    const end = middle + timeScale.options().barSpacing / 2;
    if (end <= 0) return;
    target.useBitmapCoordinateSpace((/** @type {any} */ { context, horizontalPixelRatio, bitmapSize }) => {
      context.fillStyle = this.#color;
      context.fillRect(0, 0, end * horizontalPixelRatio, bitmapSize.height);
    });
  }
}
