/**
 * Candles over a volume pane on Lightweight Charts: what is drawn of them, and of what stands on them,
 * over them and under them.
 *
 * @typedef {import('./klines.js').Bar} Bar
 * @typedef {import('./candle-marks.js').Marker} Marker
 * @typedef {import('./candle-marks.js').PriceLevel} PriceLevel
 * @typedef {import('./candle-marks.js').Trip} Trip
 * @typedef {import('./candle-compare.js').Compared} Compared
 * @typedef {import('./chart-indicators.js').Indicator} Indicator
 * @typedef {'linear' | 'log' | 'percent'} Scale of prices; percent counts from the left edge of the view
 */

import {
  CandlestickSeries, createChartEx, HistogramSeries, PriceScaleMode,
} from '../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs';
import { candleCompare } from './candle-compare.js';
import { candleCursor } from './candle-cursor.js';
import { candleIndicators } from './candle-indicators.js';
import { candleLegend } from './candle-legend.js';
import { candleMarks } from './candle-marks.js';
import { candle, candleOptions, chartOptions, priceFormat, seconds, volumeBar, volumeFormat } from './candle-style.js';
import { candleViewport } from './candle-viewport.js';
import { attributionLogo } from './chart-attribution.js';
import { hasOwnPane, warmUpBars } from './chart-indicators.js';
import { onDisplayChange } from './chart-theme.js';
import { element, replaceContent } from './element.js';
import { directionClass, formatPercent, NOTHING, priceDecimals } from './format.js';
import { barIndexAt } from './klines.js';
import { markerTooltip } from './marker-tooltip.js';
import { ZonedTimeScale } from './zoned-time-scale.js';

const VOLUME_SHARE = 0.18;
const VOLUME_PANE = 1;
/** So many bars from an end of what is loaded, more are asked for. */
const NEAR_END_BARS = 100;
const SCALE_MODES = { linear: PriceScaleMode.Normal, log: PriceScaleMode.Logarithmic, percent: PriceScaleMode.Percentage };

/** @type {WeakMap<Element, CandleChart>} */
const charts = new WeakMap();

/** The chart on a plot, for tests and for the console. @param {Element} plot */
export const candleChartOn = (plot) => charts.get(plot);

export class CandleChart {
  /** @type {readonly Bar[]} */
  #bars = [];
  /** @type {readonly Indicator[]} */
  #indicators = [];
  #decimals = 2;
  /** Open time of the newest bar that is drawn. */
  #drawnTo = -Infinity;

  /**
   * @param {HTMLElement} container emptied; its height is the chart's
   * @param {object} options
   * @param {string} options.label what the chart shows, for screen readers
   * @param {boolean} [options.lastPrice] whether a line stands at the newest close; true unless told
   * @param {(direction: 'older' | 'newer') => void} [options.onNeed] the view nears an end of the bars
   * @param {() => void} [options.onView] the view moved
   * @param {(ids: readonly string[]) => Node[]} [options.story] what markers tell when one points at them
   */
  constructor(container, { label, lastPrice = true, onNeed, onView, story = () => [] }) {
    this.container = container;
    this.onNeed = onNeed;
    this.onView = onView;
    this.story = story;
    this.legend = candleLegend();
    this.spoken = element('p', { class: 'sr-only', 'aria-live': 'polite' });
    this.plot = element('div', {
      class: 'candle-plot', tabindex: 0, role: 'application', 'aria-label': label, 'data-testid': 'candle-plot',
    });
    const stage = element('div', { class: 'candle-stage' }, this.plot, attributionLogo());
    replaceContent(container, this.legend.node, stage, this.spoken);
    this.tooltip = markerTooltip(stage);
    charts.set(this.plot, this);

    this.chart = createChartEx(this.plot, new ZonedTimeScale(), /** @type {any} */ (chartOptions()));
    this.candles = this.chart.addSeries(CandlestickSeries, {
      ...candleOptions(),
      lastValueVisible: lastPrice,
      priceLineVisible: lastPrice,
    });
    const volumeOptions = { priceFormat: volumeFormat(), lastValueVisible: false, priceLineVisible: false };
    this.volume = this.chart.addSeries(HistogramSeries, volumeOptions, VOLUME_PANE);
    const [pricePane, volumePane] = this.chart.panes();
    pricePane?.setStretchFactor(1 - VOLUME_SHARE);
    volumePane?.setStretchFactor(VOLUME_SHARE);
    this.marks = candleMarks(this.chart, this.candles);
    this.compare = candleCompare(this.chart);
    this.indicators = candleIndicators(this.chart, this.candles, VOLUME_PANE + 1);
    this.viewport = candleViewport(this.chart, this.plot);
    this.cursor = candleCursor(this.plot, this.viewport, { count: () => this.#bars.length, onGo: (at) => this.#goTo(at) });

    this.chart.subscribeCrosshairMove((event) => this.#onPointer(event));
    this.chart.subscribeClick((event) => this.#tell(markerIds(event), event.point));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.#viewMoved());
    onDisplayChange(() => this.#redraw());
  }

  /** The bars that are drawn. */
  get bars() {
    return this.#bars;
  }

  /**
   * Shows bars, ascending. What is in view stays in view, or else the newest are shown.
   *
   * @param {readonly Bar[]} bars
   * @param {'keep' | 'latest'} view
   */
  setBars(bars, view) {
    const range = view === 'keep' ? this.viewport.view() : null;
    const anchor = this.#bars[Math.max(0, Math.ceil(range?.from ?? 0))];
    const anchorIndex = anchor ? this.#bars.indexOf(anchor) : 0;
    this.#bars = bars;
    this.#drawnTo = bars.at(-1)?.timestamp ?? -Infinity;
    this.#fitDecimals();
    this.candles.setData(bars.map(candle));
    this.volume.setData(bars.map(volumeBar));
    this.marks.draw(bars);
    this.compare.draw(bars);
    this.indicators.draw(bars, this.#decimals);
    if (range && anchor) {
      const shift = barIndexAt(bars, anchor.timestamp) - anchorIndex;
      this.cursor.shift(shift);
      this.viewport.show({ from: range.from + shift, to: range.to + shift });
    } else {
      this.showLatest();
    }
    this.#showBar();
  }

  /**
   * Bars near the end changed, or newer ones came; they are already among the bars shown.
   *
   * @param {readonly Bar[]} changed ascending
   */
  updateBars(changed) {
    const drawnTo = this.#drawnTo;
    for (const bar of changed) {
      this.candles.update(candle(bar), bar.timestamp < drawnTo);
      this.volume.update(volumeBar(bar), bar.timestamp < drawnTo);
    }
    this.compare.update(changed, drawnTo);
    this.indicators.update(changed, drawnTo);
    this.#drawnTo = Math.max(drawnTo, changed.at(-1)?.timestamp ?? -Infinity);
    this.#showBar();
  }

  /** @param {readonly Indicator[]} indicators */
  setIndicators(indicators) {
    this.#indicators = indicators;
    this.container.style.setProperty('--indicator-panes', String(indicators.filter(hasOwnPane).length));
    this.indicators.setIndicators(indicators);
    this.#showBar();
    this.#viewMoved(); // they may need bars before the view
  }

  /** @param {readonly Compared[]} coins */
  setCompared(coins) {
    this.compare.setCompared(coins);
    this.#showBar();
  }

  /** Their closes have come or changed. */
  drawCompared() {
    this.compare.draw(this.#bars);
    this.#showBar();
  }

  /** @param {Scale} scale */
  setScale(scale) {
    this.candles.priceScale().applyOptions({ mode: SCALE_MODES[scale], autoScale: true });
  }

  /** Markers outside the bars are not drawn. @param {readonly Marker[]} markers by time, ascending */
  setMarkers(markers) {
    this.marks.setMarkers(markers);
  }

  /** @param {readonly PriceLevel[]} levels */
  setLevels(levels) {
    this.marks.setLevels(levels);
  }

  /** @param {Trip | null} trip */
  setTrip(trip) {
    this.marks.setTrip(trip);
  }

  /** @param {number} until milliseconds: bars that open before it lie in the shade */
  setShade(until) {
    this.marks.setShade(until);
  }

  /**
   * Moves the view so that these times are in it, with room on both sides.
   *
   * @param {number} from milliseconds
   * @param {number} to milliseconds
   */
  showTimes(from, to) {
    this.viewport.showAround(barIndexAt(this.#bars, from), barIndexAt(this.#bars, to));
    this.candles.priceScale().applyOptions({ autoScale: true });
  }

  showLatest() {
    this.viewport.showLatest(this.#bars.length);
    this.candles.priceScale().applyOptions({ autoScale: true });
  }

  /** What the chart shows, for screen readers. @param {string} label */
  setLabel(label) {
    this.plot.setAttribute('aria-label', label);
  }

  /** What the legend says of the bar that is looked at. */
  legendTexts() {
    return this.legend.texts();
  }

  hideStory() {
    this.tooltip.hide();
  }

  showsNewest() {
    return (this.viewport.view()?.to ?? 0) >= this.#bars.length - 1;
  }

  /** Which bars are in view. @returns {readonly Bar[]} */
  barsInView() {
    const view = this.viewport.view();
    return view ? this.#bars.slice(Math.max(0, Math.ceil(view.from)), Math.max(0, Math.floor(view.to) + 1)) : [];
  }

  /** Less than half a view is left to an end. @param {'older' | 'newer'} end */
  isAtEdge(end) {
    const view = this.viewport.view();
    if (!view) return true;
    const half = (view.to - view.from) / 2;
    return end === 'older' ? view.from < half : view.to > this.#bars.length - half;
  }

  #viewMoved() {
    const view = this.chart.timeScale().getVisibleLogicalRange();
    if (!view || !this.#bars.length) return;
    this.onView?.();
    const near = NEAR_END_BARS + (view.to - view.from);
    if (view.from < Math.max(near, warmUpBars(this.#indicators))) this.onNeed?.('older');
    if (view.to > this.#bars.length - near) this.onNeed?.('newer');
  }

  #fitDecimals() {
    this.#decimals = priceDecimals(this.#bars.at(-1)?.close ?? 1);
    this.candles.applyOptions({ priceFormat: priceFormat(this.#decimals) });
  }

  #redraw() {
    this.chart.applyOptions(/** @type {any} */ (chartOptions()));
    this.candles.applyOptions(candleOptions());
    this.marks.restyle();
    // Ticks are weighed anew, in another zone, only for times that the chart does not yet have.
    const range = this.viewport.view();
    for (const layer of [this.marks, this.compare, this.indicators]) layer.clear();
    for (const series of [this.candles, this.volume]) series.setData([]);
    this.setBars(this.#bars, 'keep');
    if (range) this.viewport.show(range);
  }

  /** @param {import('lightweight-charts').MouseEventParams<any>} event */
  #onPointer(event) {
    if (!event.sourceEvent && this.cursor.isKeyed()) return; // the crosshair that the keyboard set
    this.cursor.point(event.time === undefined ? -1 : barIndexAt(this.#bars, Number(event.time) * 1000));
    this.#showBar();
    this.#tell(markerIds(event), event.point);
  }

  /** The keyboard went to a bar. @param {number} at -1 where it left */
  #goTo(at) {
    const bar = this.#bars[at];
    if (!bar) {
      this.chart.clearCrosshairPosition();
      this.#showBar();
      return this.tooltip.hide();
    }
    this.chart.setCrosshairPosition(bar.close, seconds(bar.timestamp), this.candles);
    this.#showBar();
    const x = this.chart.timeScale().timeToCoordinate(seconds(bar.timestamp)) ?? 0;
    const told = this.#tell(this.marks.idsAt(at), { x, y: this.candles.priceToCoordinate(bar.close) ?? 0 });
    const under = this.#valuesAt(at).filter(({ ownPane }) => ownPane).map(({ name, text }) => `${name} ${text}`);
    this.spoken.textContent = [this.legend.node.textContent, ...under, told].join(' ');
  }

  /**
   * @param {readonly string[]} ids of markers
   * @param {{ x: number, y: number } | undefined} point on the plot
   * @returns {string} what is said
   */
  #tell(ids, point) {
    const content = ids.length && point ? this.story(ids) : [];
    if (content.length && point) this.tooltip.show(point, content);
    else this.tooltip.hide();
    return content.map(({ textContent }) => textContent).join(' ');
  }

  #showBar() {
    const at = this.cursor.place();
    const overCandles = this.#valuesAt(at).filter(({ ownPane }) => !ownPane);
    this.legend.show(this.#bars[at] ?? null, this.#bars[at - 1] ?? null, overCandles, this.#decimals);
    this.indicators.label(at);
  }

  /** @param {number} at the place of a bar */
  #valuesAt(at) {
    const gains = this.compare.gainsAt(at, this.viewport.view()?.from ?? 0).map(({ name, color, percent }) => {
      const text = percent === null ? NOTHING : formatPercent(percent);
      return { name, color, text, direction: directionClass(percent), ownPane: false };
    });
    return [...this.indicators.valuesAt(at), ...gains];
  }
}

/** The marker under the pointer. @param {import('lightweight-charts').MouseEventParams<any>} event */
function markerIds(event) {
  const id = event.hoveredInfo?.objectId;
  return typeof id === 'string' ? [id] : [];
}
