/**
 * Candles over a volume pane on Lightweight Charts, with averages, trade markers and price lines.
 *
 * @typedef {import('./klines.js').Bar} Bar
 * @typedef {{ from: number, to: number }} View which bars are in view, by their places; parts of a bar count
 *
 * @typedef {object} Marker
 * @property {string} id given back on hover
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
 * @typedef {object} Average
 * @property {import('./averages.js').AverageKind} kind
 * @property {number} length
 * @property {string} color a design token
 *
 * @typedef {object} Trip a line from an entry to its exit
 * @property {number} entryTime
 * @property {number} entryPrice
 * @property {number} exitTime
 * @property {number} exitPrice
 * @property {string} color
 */

import {
  CandlestickSeries,
  createChartEx,
  createSeriesMarkers,
  HistogramSeries,
  LineSeries,
  LineStyle,
} from '../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs';
import { movingAverage } from './averages.js';
import { attributionLogo } from './chart-attribution.js';
import { candleLegend } from './candle-legend.js';
import {
  averageOptions, candle, candleOptions, chartOptions, priceFormat, seconds, tripOptions, volumeBar, volumeFormat,
} from './candle-style.js';
import { onDisplayChange, tokenColor } from './chart-theme.js';
import { element, replaceContent } from './element.js';
import { priceDecimals } from './format.js';
import { barIndexAt } from './klines.js';
import { ZonedTimeScale } from './zoned-time-scale.js';

const BARS_IN_VIEW = 160;
const VOLUME_SHARE = 0.18;
/** So many bars from an end of what is loaded, more are asked for. */
const NEAR_END_BARS = 100;
const LINE_STYLES = { solid: LineStyle.Solid, dashed: LineStyle.Dashed, dotted: LineStyle.Dotted };

export class CandleChart {
  /** @type {readonly Bar[]} */
  #bars = [];
  /** @type {Average[]} */
  #averages = [];
  /** @type {import('lightweight-charts').ISeriesApi<'Line', any>[]} */
  #averageSeries = [];
  /** @type {Marker[]} */
  #markers = [];
  /** @type {PriceLevel[]} */
  #levels = [];
  /** @type {import('lightweight-charts').IPriceLine[]} */
  #levelLines = [];
  /** @type {Trip | null} */
  #trip = null;
  #decimals = 2;
  #cursor = -1;
  /** Open time of the newest bar that is drawn. */
  #drawnTo = -Infinity;
  /** The view that was asked for last, until the chart's next frame shows it. @type {View | null} */
  #askedView = null;

  /**
   * @param {HTMLElement} container emptied; its height is the chart's
   * @param {object} options
   * @param {string} options.label what the chart shows, for screen readers
   * @param {boolean} [options.lastPrice] whether a line stands at the newest close; true unless told
   * @param {(direction: 'older' | 'newer') => void} [options.onNeed] the view nears an end of the bars
   * @param {(newestInView: boolean) => void} [options.onView] the view moved
   * @param {(id: string | null, point: { x: number, y: number } | null) => void} [options.onMarker]
   *   the marker under the pointer, or touched
   */
  constructor(container, { label, lastPrice = true, onNeed, onView, onMarker }) {
    this.onNeed = onNeed;
    this.onView = onView;
    this.legend = candleLegend();
    this.spoken = element('p', { class: 'sr-only', 'aria-live': 'polite' });
    const plot = element('div', {
      class: 'candle-plot',
      tabindex: 0,
      role: 'application',
      'aria-label': label,
      'data-testid': 'candle-plot',
    });
    plot.addEventListener('keydown', (event) => this.#onKey(event));
    plot.addEventListener('blur', () => this.#moveCursor(-1));
    replaceContent(container, plot, this.legend.node, attributionLogo(), this.spoken);
    this.plot = plot;

    this.chart = createChartEx(plot, new ZonedTimeScale(), /** @type {any} */ (chartOptions()));
    this.candles = this.chart.addSeries(CandlestickSeries, {
      ...candleOptions(),
      lastValueVisible: lastPrice,
      priceLineVisible: lastPrice,
    });
    this.volume = this.chart.addSeries(
      HistogramSeries,
      { priceFormat: volumeFormat(), lastValueVisible: false, priceLineVisible: false },
      1,
    );
    this.tripLine = this.chart.addSeries(LineSeries, tripOptions());
    this.markers = createSeriesMarkers(this.candles, [], { zOrder: 'top' });
    const [pricePane, volumePane] = this.chart.panes();
    pricePane?.setStretchFactor(1 - VOLUME_SHARE);
    volumePane?.setStretchFactor(VOLUME_SHARE);

    this.chart.subscribeCrosshairMove((event) => this.#onPointer(event, onMarker));
    this.chart.subscribeClick((event) => onMarker?.(markerId(event), event.point ?? null));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.#viewMoved());
    onDisplayChange(() => this.#redraw());
  }

  /**
   * Shows bars, ascending. What is in view stays in view, or else the newest are shown.
   *
   * @param {readonly Bar[]} bars
   * @param {'keep' | 'latest'} view
   */
  setBars(bars, view) {
    const range = view === 'keep' ? this.#view() : null;
    const anchor = this.#bars[Math.max(0, Math.ceil(range?.from ?? 0))];
    const anchorIndex = anchor ? this.#bars.indexOf(anchor) : 0;
    this.#bars = bars;
    this.#drawnTo = bars.at(-1)?.timestamp ?? -Infinity;
    this.#fitDecimals();
    this.candles.setData(bars.map(candle));
    this.volume.setData(bars.map(volumeBar));
    this.#drawAverages();
    this.#drawMarkers();
    this.#drawTrip();
    if (range && anchor) {
      const shift = barIndexAt(bars, anchor.timestamp) - anchorIndex;
      this.#showView({ from: range.from + shift, to: range.to + shift });
    } else {
      this.showLatest();
    }
    this.#showLegend(this.#bars.length - 1);
  }

  /**
   * Bars near the end changed, or newer ones came; they are already among the bars shown.
   *
   * @param {readonly Bar[]} changed ascending
   */
  updateBars(changed) {
    const closes = this.#bars.map(({ close }) => close);
    const averages = this.#averages.map(({ kind, length }) => movingAverage(kind, closes, length));
    for (const bar of changed) {
      const isOlder = bar.timestamp < this.#drawnTo;
      const at = barIndexAt(this.#bars, bar.timestamp);
      this.candles.update(candle(bar), isOlder);
      this.volume.update(volumeBar(bar), isOlder);
      for (const [index, values] of averages.entries()) {
        this.#averageSeries[index]?.update(averagePoint(bar.timestamp, values[at]), isOlder);
      }
      this.#drawnTo = Math.max(this.#drawnTo, bar.timestamp);
    }
    if (this.#cursor < 0) this.#showLegend(this.#bars.length - 1);
  }

  /** @param {Average[]} averages */
  setAverages(averages) {
    this.#averages = averages;
    for (const series of this.#averageSeries) this.chart.removeSeries(series);
    this.#averageSeries = averages.map(() => this.chart.addSeries(LineSeries, averageOptions()));
    this.#drawAverages();
    this.#showLegend(this.#bars.length - 1);
  }

  /** Markers outside the bars are not drawn. @param {Marker[]} markers by time, ascending */
  setMarkers(markers) {
    this.#markers = markers;
    this.#drawMarkers();
  }

  /** @param {PriceLevel[]} levels */
  setLevels(levels) {
    this.#levels = levels;
    for (const line of this.#levelLines) this.candles.removePriceLine(line);
    this.#levelLines = levels.map(({ price, title, color, line }) =>
      this.candles.createPriceLine({
        price,
        title,
        color: tokenColor(color),
        lineStyle: LINE_STYLES[line],
        lineWidth: 1,
        axisLabelVisible: true,
      }),
    );
  }

  /** @param {Trip | null} trip */
  setTrip(trip) {
    this.#trip = trip;
    this.#drawTrip();
  }

  /**
   * Moves the view so that these times are in it, with room on both sides.
   *
   * @param {number} from milliseconds
   * @param {number} to milliseconds
   */
  showTimes(from, to) {
    const first = barIndexAt(this.#bars, from);
    const last = barIndexAt(this.#bars, to);
    const margin = Math.max(12, (this.#barsInView() / 2 - (last - first)) / 2, (last - first) * 0.2);
    this.#showView({ from: first - margin, to: last + margin });
    this.candles.priceScale().applyOptions({ autoScale: true });
  }

  showLatest() {
    const bars = this.#bars.length;
    this.#showView({ from: bars - this.#barsInView(), to: bars + 4 });
    this.candles.priceScale().applyOptions({ autoScale: true });
  }

  /** What the chart shows, for screen readers. @param {string} label */
  setLabel(label) {
    this.plot.setAttribute('aria-label', label);
  }

  /** The view, or the one that the next frame will show. @returns {View | null} */
  #view() {
    return this.#askedView ?? this.chart.timeScale().getVisibleLogicalRange();
  }

  /** @param {View} view */
  #showView(view) {
    this.#askedView = view;
    this.chart.timeScale().setVisibleLogicalRange(view);
    requestAnimationFrame(() => {
      if (this.#askedView === view) this.#askedView = null;
    });
  }

  #barsInView() {
    return Math.min(BARS_IN_VIEW, Math.max(30, Math.floor(this.plot.clientWidth / 7)));
  }

  #viewMoved() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range || !this.#bars.length) return;
    this.onView?.(range.to >= this.#bars.length - 1);
    if (range.from < NEAR_END_BARS) this.onNeed?.('older');
    if (range.to > this.#bars.length - NEAR_END_BARS) this.onNeed?.('newer');
  }

  #fitDecimals() {
    this.#decimals = priceDecimals(this.#bars.at(-1)?.close ?? 1);
    this.candles.applyOptions({ priceFormat: priceFormat(this.#decimals) });
  }

  #drawAverages() {
    const closes = this.#bars.map(({ close }) => close);
    for (const [index, { kind, length, color }] of this.#averages.entries()) {
      const series = this.#averageSeries[index];
      series?.applyOptions({ color: tokenColor(color), priceFormat: priceFormat(this.#decimals) });
      series?.setData(
        movingAverage(kind, closes, length).map((value, at) =>
          averagePoint(/** @type {Bar} */ (this.#bars[at]).timestamp, value),
        ),
      );
    }
  }

  #drawMarkers() {
    const drawn = [];
    for (const { id, time, position, shape, color } of this.#markers) {
      const bar = this.#bars[barIndexAt(this.#bars, time)];
      const last = bar === this.#bars.at(-1) && this.#bars.length > 1;
      if (!bar || (last && time >= bar.timestamp + this.#barLength())) continue;
      drawn.push({ id, time: seconds(bar.timestamp), position, shape, color: tokenColor(color) });
    }
    this.markers.setMarkers(drawn);
  }

  #barLength() {
    const [first, second] = this.#bars;
    return first && second ? second.timestamp - first.timestamp : Infinity;
  }

  #drawTrip() {
    const points = [];
    if (this.#trip && this.#bars.length) {
      const { entryTime, entryPrice, exitTime, exitPrice, color } = this.#trip;
      const entry = this.#bars[barIndexAt(this.#bars, entryTime)];
      const exit = this.#bars[barIndexAt(this.#bars, exitTime)];
      if (entry) points.push({ time: seconds(entry.timestamp), value: entryPrice });
      if (exit && exit !== entry) points.push({ time: seconds(exit.timestamp), value: exitPrice });
      this.tripLine.applyOptions({ color: tokenColor(color) });
    }
    this.tripLine.setData(points);
  }

  #redraw() {
    this.chart.applyOptions(/** @type {any} */ (chartOptions()));
    this.candles.applyOptions(candleOptions());
    this.setLevels(this.#levels);
    // Ticks are weighed anew, in another zone, only for times that the chart does not yet have.
    const range = this.#view();
    for (const series of [this.candles, this.volume, this.tripLine, ...this.#averageSeries]) series.setData([]);
    this.setBars(this.#bars, 'keep');
    if (range) this.#showView(range);
  }

  /**
   * @param {import('lightweight-charts').MouseEventParams<any>} event
   * @param {((id: string | null, point: { x: number, y: number } | null) => void) | undefined} onMarker
   */
  #onPointer(event, onMarker) {
    const index = event.time === undefined ? -1 : barIndexAt(this.#bars, Number(event.time) * 1000);
    this.#cursor = index;
    this.#showLegend(index < 0 ? this.#bars.length - 1 : index);
    onMarker?.(markerId(event), event.point ?? null);
  }

  /** @param {number} index */
  #showLegend(index) {
    const bar = this.#bars[index];
    const time = bar ? seconds(bar.timestamp) : null;
    const averages = this.#averages.map((average, at) => {
      const point = time === null ? null : this.#averageSeries[at]?.dataByIndex(index);
      const value = point && 'value' in point ? Number(point.value) : null;
      return { name: `${average.kind.toUpperCase()} ${average.length}`, color: average.color, value };
    });
    this.legend.show(bar ?? null, this.#bars[index - 1] ?? null, averages, this.#decimals);
  }

  /** Arrow keys go from bar to bar and say it; with Shift they move the view; + and − zoom. @param {KeyboardEvent} event */
  #onKey(event) {
    const range = this.#view();
    if (!range || event.ctrlKey || event.metaKey || event.altKey) return;
    const width = range.to - range.from;
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowLeft: () => (event.shiftKey ? this.#pan(range, -width / 4) : this.#moveCursor(this.#cursorStart() - 1)),
      ArrowRight: () => (event.shiftKey ? this.#pan(range, width / 4) : this.#moveCursor(this.#cursorStart() + 1)),
      PageUp: () => this.#pan(range, -width),
      PageDown: () => this.#pan(range, width),
      End: () => this.#moveCursor(this.#bars.length - 1),
      '+': () => this.#showView({ from: range.from + width * 0.1, to: range.to - width * 0.1 }),
      '=': () => this.#showView({ from: range.from + width * 0.1, to: range.to - width * 0.1 }),
      '-': () => this.#showView({ from: range.from - width * 0.1, to: range.to + width * 0.1 }),
      Escape: () => this.#moveCursor(-1),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  #cursorStart() {
    const range = this.#view();
    return this.#cursor >= 0 ? this.#cursor : Math.min(this.#bars.length, Math.floor(range?.to ?? 0));
  }

  /**
   * @param {View} range
   * @param {number} bars
   */
  #pan({ from, to }, bars) {
    this.#showView({ from: from + bars, to: to + bars });
  }

  /** @param {number} index -1 takes the crosshair away */
  #moveCursor(index) {
    const at = Math.min(index, this.#bars.length - 1);
    const bar = this.#bars[at];
    if (!bar) {
      this.#cursor = -1;
      this.chart.clearCrosshairPosition();
      return;
    }
    const range = this.#view();
    if (range && at < range.from) this.#pan(range, at - range.from);
    if (range && at > range.to) this.#pan(range, at - range.to);
    this.#cursor = at;
    this.chart.setCrosshairPosition(bar.close, seconds(bar.timestamp), this.candles);
    this.#showLegend(at);
    this.spoken.textContent = this.legend.node.textContent;
  }
}

/** @param {import('lightweight-charts').MouseEventParams<any>} event */
function markerId(event) {
  const id = event.hoveredInfo?.objectId;
  return typeof id === 'string' ? id : null;
}

/**
 * A place without a value while there are too few bars for an average.
 *
 * @param {number} timestamp
 * @param {number | undefined} value
 */
function averagePoint(timestamp, value) {
  const time = seconds(timestamp);
  return value !== undefined && Number.isFinite(value) ? { time, value } : { time };
}
