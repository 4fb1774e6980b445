/**
 * Other coins beside the candles, as lines; they are compared by what they gained since the left edge.
 *
 * @typedef {object} Compared
 * @property {string} coin
 * @property {string} color a design token
 * @property {(timestamp: number) => number | undefined} closeAt of the bar that opened then, milliseconds
 */

import { LineSeries } from '../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs';
import { lineOptions, seconds } from './candle-style.js';
import { tokenColor } from './chart-theme.js';

/** @typedef {import('./klines.js').Bar} Bar */

/** @param {import('lightweight-charts').IChartApiBase<any>} chart */
export function candleCompare(chart) {
  /** @type {readonly Bar[]} */
  let bars = [];
  /** @type {{ compared: Compared, series: import('lightweight-charts').ISeriesApi<'Line', any> }[]} */
  let lines = [];

  /** @param {readonly Compared[]} coins */
  function setCompared(coins) {
    for (const { series } of lines) chart.removeSeries(series);
    lines = coins.map((compared) => ({
      compared,
      series: chart.addSeries(LineSeries, { ...lineOptions(), lineWidth: 2, lastValueVisible: true }),
    }));
    draw(bars);
  }

  /** @param {readonly Bar[]} wanted */
  function draw(wanted) {
    bars = wanted;
    for (const { compared, series } of lines) {
      series.applyOptions({ color: tokenColor(compared.color), title: compared.coin });
      series.setData(bars.map((bar) => point(compared, bar)));
    }
  }

  /** @param {readonly Bar[]} changed @param {number} drawnTo open time of the newest bar that is drawn */
  function update(changed, drawnTo) {
    for (const { compared, series } of lines) {
      for (const bar of changed) series.update(point(compared, bar), bar.timestamp < drawnTo);
    }
  }

  /** @param {Compared} compared @param {Bar} bar */
  function point({ closeAt }, { timestamp }) {
    const value = closeAt(timestamp);
    return value === undefined ? { time: seconds(timestamp) } : { time: seconds(timestamp), value };
  }

  /**
   * What each gained, in percent.
   *
   * @param {number} at the place of a bar
   * @param {number} from the first place in view
   */
  function gainsAt(at, from) {
    return lines.map(({ compared: { coin, color, closeAt } }) => {
      const first = bars.slice(Math.max(0, Math.floor(from)), at + 1).find(({ timestamp }) => closeAt(timestamp) !== undefined);
      const [base, close] = [first && closeAt(first.timestamp), bars[at] && closeAt(bars[at].timestamp)];
      return { name: coin, color, percent: base && close ? 100 * (close / base - 1) : null };
    });
  }

  return {
    setCompared,
    draw,
    update,
    gainsAt,
    /** Takes its times off the time scale. */
    clear() {
      for (const { series } of lines) series.setData([]);
    },
  };
}
