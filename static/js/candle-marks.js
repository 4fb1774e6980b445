/**
 * What stands on the candles: markers, lines at prices, the line of a trip, and a shade behind them.
 *
 * @typedef {object} Marker
 * @property {string} id tells it from the others
 * @property {number} time milliseconds, anywhere inside its bar
 * @property {'belowBar' | 'aboveBar'} position
 * @property {'arrowUp' | 'arrowDown' | 'circle' | 'square'} shape
 * @property {string} color a design token
 *
 * @typedef {object} PriceLevel
 * @property {number} price
 * @property {string} title
 * @property {string} color a design token
 * @property {'solid' | 'dashed' | 'dotted'} line
 *
 * @typedef {object} Trip a line from an entry to its exit
 * @property {number} entryTime
 * @property {number} entryPrice
 * @property {number} exitTime
 * @property {number} exitPrice
 * @property {string} color
 *
 * @typedef {import('./klines.js').Bar} Bar
 */

import { createSeriesMarkers, LineSeries, LineStyle } from '../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs';
import { CandleShade } from './candle-shade.js';
import { seconds, tripOptions } from './candle-style.js';
import { tokenColor } from './chart-theme.js';
import { barIndexAt } from './klines.js';

const LINE_STYLES = { solid: LineStyle.Solid, dashed: LineStyle.Dashed, dotted: LineStyle.Dotted };
/** From a bar's end to about the middle of the marker at it, in pixels. */
const MARKER_DISTANCE = 11;

/**
 * @param {import('lightweight-charts').IChartApiBase<any>} chart
 * @param {import('lightweight-charts').ISeriesApi<'Candlestick', any>} candles
 */
export function candleMarks(chart, candles) {
  const drawing = createSeriesMarkers(candles, [], { zOrder: 'top' });
  const tripLine = chart.addSeries(LineSeries, tripOptions());
  const shade = new CandleShade();
  candles.attachPrimitive(shade);
  let shadedUntil = -Infinity;
  /** @type {readonly Bar[]} */
  let bars = [];
  /** @type {readonly Marker[]} */
  let markers = [];
  /** Markers by the place of their bar. @type {Map<number, Marker[]>} */
  let markersAt = new Map();
  /** @type {readonly PriceLevel[]} */
  let levels = [];
  /** @type {import('lightweight-charts').IPriceLine[]} */
  let levelLines = [];
  /** @type {Trip | null} */
  let trip = null;

  /** Markers outside the bars are not drawn. @param {readonly Marker[]} wanted by time, ascending */
  function setMarkers(wanted) {
    markers = wanted;
    drawMarkers();
  }

  function drawMarkers() {
    markersAt = new Map();
    const drawn = [];
    for (const marker of markers) {
      const at = barIndexAt(bars, marker.time);
      const bar = bars[at];
      if (!bar || (at === bars.length - 1 && at > 0 && marker.time >= bar.timestamp + barLength())) continue;
      markersAt.set(at, [...(markersAt.get(at) ?? []), marker]);
      const { id, position, shape, color } = marker;
      drawn.push({ id, time: seconds(bar.timestamp), position, shape, color: tokenColor(color) });
    }
    drawing.setMarkers(drawn);
  }

  function barLength() {
    const [first, second] = bars;
    return first && second ? second.timestamp - first.timestamp : Infinity;
  }

  /** @param {readonly PriceLevel[]} wanted */
  function setLevels(wanted) {
    levels = wanted;
    for (const line of levelLines) candles.removePriceLine(line);
    levelLines = levels.map(({ price, title, color, line }) =>
      candles.createPriceLine({
        price,
        title,
        color: tokenColor(color),
        lineStyle: LINE_STYLES[line],
        lineWidth: 1,
        axisLabelVisible: true,
      }),
    );
  }

  /** @param {Trip | null} wanted */
  function setTrip(wanted) {
    trip = wanted;
    drawTrip();
  }

  function drawTrip() {
    const points = [];
    if (trip && bars.length) {
      const entry = bars[barIndexAt(bars, trip.entryTime)];
      const exit = bars[barIndexAt(bars, trip.exitTime)];
      if (entry) points.push({ time: seconds(entry.timestamp), value: trip.entryPrice });
      if (exit && exit !== entry) points.push({ time: seconds(exit.timestamp), value: trip.exitPrice });
      tripLine.applyOptions({ color: tokenColor(trip.color) });
    }
    tripLine.setData(points);
  }

  /** @param {number} until milliseconds: bars that open before it lie in the shade */
  function setShade(until) {
    shadedUntil = until;
    drawShade();
  }

  function drawShade() {
    shade.cover(barIndexAt(bars, shadedUntil - 1) + 1);
  }

  /** Where on the plot a marker stands, about. @param {Marker} marker @param {number} at the place of its bar */
  function pointOf({ position }, at) {
    const bar = bars[at];
    const below = position === 'belowBar';
    const x = bar ? chart.timeScale().timeToCoordinate(seconds(bar.timestamp)) : null;
    const y = bar ? candles.priceToCoordinate(below ? bar.low : bar.high) : null;
    return x === null || y === null ? null : { x, y: y + (below ? MARKER_DISTANCE : -MARKER_DISTANCE) };
  }

  return {
    setMarkers,
    setLevels,
    setTrip,
    setShade,
    /** @param {readonly Bar[]} wanted */
    draw(wanted) {
      bars = wanted;
      drawMarkers();
      drawTrip();
      drawShade();
    },
    /** In the colours of now. The marks of bars are drawn anew with the bars. */
    restyle() {
      setLevels(levels);
      drawShade();
    },
    /** Takes the times of its points off the time scale. */
    clear: () => tripLine.setData([]),
    /** The markers of a bar. @param {number} at its place @returns {readonly string[]} */
    idsAt: (at) => (markersAt.get(at) ?? []).map(({ id }) => id),
    /** Every marker that is drawn and where it stands on the plot. */
    points: () =>
      [...markersAt].flatMap(([at, together]) =>
        together.flatMap((marker) => {
          const point = pointOf(marker, at);
          return point ? [{ id: marker.id, ...point }] : [];
        }),
      ),
  };
}
