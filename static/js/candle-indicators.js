/** The indicators of a chart: over its candles, or in panes of their own under them. */

import {
  createTextWatermark, HistogramSeries, LineSeries, LineStyle,
} from '../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs';
import { CandleOverlay } from './candle-overlay.js';
import { lineOptions, priceFormat, seconds, tokenFaded } from './candle-style.js';
import { hasOwnPane, indicatorName, KINDS } from './chart-indicators.js';
import { chartFont, tokenColor } from './chart-theme.js';
import { formatNumber, NOTHING } from './format.js';
import { barIndexAt } from './klines.js';

/** @typedef {import('./klines.js').Bar} Bar */
/** @typedef {import('./chart-indicators.js').Indicator} Indicator */
/** @typedef {{ indicator: Indicator, columns: Float64Array[], pane: IndicatorPane | null }} Shown */
/** @typedef {ReturnType<typeof seriesPane>} IndicatorPane */

const PANE_SHARE = 0.24;
const RSI_DECIMALS = 2;
const [OVERSOLD, OVERBOUGHT] = [30, 70];

/**
 * @param {import('lightweight-charts').IChartApiBase<any>} chart
 * @param {import('lightweight-charts').ISeriesApi<'Candlestick', any>} candles
 * @param {number} firstPane the panes from this one on are for indicators
 */
export function candleIndicators(chart, candles, firstPane) {
  const overlay = new CandleOverlay();
  candles.attachPrimitive(overlay);
  /** @type {readonly Bar[]} */
  let bars = [];
  let decimals = 2;
  /** @type {Shown[]} */
  let shown = [];

  /** @param {readonly Indicator[]} indicators */
  function setIndicators(indicators) {
    for (const { pane } of shown) pane?.remove();
    let panes = firstPane;
    shown = indicators.map((indicator) => {
      const pane = hasOwnPane(indicator) ? paneOf(chart, indicator, panes++) : null;
      return { indicator, columns: [], pane };
    });
    draw(bars, decimals);
  }

  /**
   * @param {readonly Bar[]} wanted
   * @param {number} priceDecimals
   */
  function draw(wanted, priceDecimals) {
    bars = wanted;
    decimals = priceDecimals;
    compute();
    for (const { indicator, columns, pane } of shown) pane?.draw(indicator, columns, bars, decimals);
  }

  /** @param {readonly Bar[]} changed @param {number} drawnTo open time of the newest bar that is drawn */
  function update(changed, drawnTo) {
    compute();
    for (const bar of changed) {
      const at = barIndexAt(bars, bar.timestamp);
      for (const { columns, pane } of shown) pane?.update(columns, at, bar, bar.timestamp < drawnTo);
    }
  }

  function compute() {
    if (!shown.length) return overlay.show([]);
    const closes = Float64Array.from(bars, ({ close }) => close);
    for (const one of shown) one.columns = KINDS[one.indicator.kind].compute(closes, ...one.indicator.parameters);
    overlay.show(shown.filter(({ pane }) => !pane).map(({ indicator, columns }) => ({ columns, color: indicator.color })));
  }

  /** What the indicators say of a bar. @param {number} at its place */
  function valuesAt(at) {
    return shown.map(({ indicator, columns }) => ({
      name: indicatorName(indicator),
      color: indicator.color,
      ownPane: hasOwnPane(indicator),
      text: columns.map((column) => valueText(column[at], indicator.kind === 'rsi' ? RSI_DECIMALS : decimals)).join('  '),
    }));
  }

  /** Says in each pane what its indicator is and its values at a bar. @param {number} at its place */
  function label(at) {
    const texts = valuesAt(at);
    for (const [index, { pane }] of shown.entries()) pane?.label(`${texts[index]?.name}   ${texts[index]?.text}`);
  }

  return {
    setIndicators,
    draw,
    update,
    valuesAt,
    label,
    /** Takes its times off the time scale. */
    clear() {
      for (const { pane } of shown) pane?.clear();
    },
  };
}

/** @param {number | undefined} value @param {number} decimals */
const valueText = (value, decimals) => (value === undefined || Number.isNaN(value) ? NOTHING : formatNumber(value, decimals));

/**
 * @param {import('lightweight-charts').IChartApiBase<any>} chart
 * @param {Indicator} indicator
 * @param {number} place from above
 */
function paneOf(chart, indicator, place) {
  const pane = indicator.kind === 'rsi' ? rsiPane(chart, place) : macdPane(chart, place);
  chart.panes()[place]?.setStretchFactor(PANE_SHARE);
  return pane;
}

/**
 * @param {import('lightweight-charts').IChartApiBase<any>} chart
 * @param {number} place
 */
function rsiPane(chart, place) {
  const line = chart.addSeries(LineSeries, { ...lineOptions(), priceFormat: priceFormat(RSI_DECIMALS) }, place);
  line.applyOptions({ autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 100 } }) });
  const guides = [OVERSOLD, OVERBOUGHT].map((price) =>
    line.createPriceLine({ price, lineWidth: 1, lineStyle: LineStyle.Dotted, axisLabelVisible: false }),
  );
  return seriesPane(chart, place, [line], ({ color }) => {
    line.applyOptions({ color: tokenColor(color) });
    for (const guide of guides) guide.applyOptions({ color: tokenColor('--crosshair') });
  });
}

/**
 * @param {import('lightweight-charts').IChartApiBase<any>} chart
 * @param {number} place
 */
function macdPane(chart, place) {
  const histogram = chart.addSeries(HistogramSeries, { lastValueVisible: false, priceLineVisible: false }, place);
  const line = chart.addSeries(LineSeries, lineOptions(), place);
  const signal = chart.addSeries(LineSeries, lineOptions(), place);
  return seriesPane(chart, place, [line, signal, histogram], ({ color }, decimals) => {
    for (const series of [line, signal, histogram]) series.applyOptions({ priceFormat: priceFormat(decimals) });
    line.applyOptions({ color: tokenColor(color) });
    signal.applyOptions({ color: tokenColor('--text-muted') });
  });
}

/**
 * @param {import('lightweight-charts').IChartApiBase<any>} chart
 * @param {number} place
 * @param {import('lightweight-charts').ISeriesApi<'Line' | 'Histogram', any>[]} series one a column; a histogram takes the colours of up and down
 * @param {(indicator: Indicator, decimals: number) => void} style
 */
function seriesPane(chart, place, series, style) {
  const pane = /** @type {import('lightweight-charts').IPaneApi<any>} */ (chart.panes()[place]);
  const watermark = createTextWatermark(pane, { horzAlign: 'left', vertAlign: 'top', lines: [] });
  let labelled = '';

  /** @param {number} index of the series @param {number | undefined} value @param {number} timestamp */
  function point(index, value, timestamp) {
    const time = seconds(timestamp);
    if (value === undefined || Number.isNaN(value)) return { time };
    if (series[index]?.seriesType() !== 'Histogram') return { time, value };
    return { time, value, color: tokenFaded(value < 0 ? '--down-chart' : '--up-chart') };
  }

  return {
    /**
     * @param {Indicator} indicator
     * @param {Float64Array[]} columns
     * @param {readonly Bar[]} bars
     * @param {number} decimals of prices
     */
    draw(indicator, columns, bars, decimals) {
      style(indicator, decimals);
      labelled = '';
      for (const [index, one] of series.entries()) {
        one.setData(bars.map(({ timestamp }, at) => point(index, columns[index]?.[at], timestamp)));
      }
    },
    /**
     * @param {Float64Array[]} columns
     * @param {number} at
     * @param {Bar} bar
     * @param {boolean} isOlder than the newest that is drawn
     */
    update(columns, at, { timestamp }, isOlder) {
      for (const [index, one] of series.entries()) one.update(point(index, columns[index]?.[at], timestamp), isOlder);
    },
    /** @param {string} text */
    label(text) {
      if (text === labelled) return;
      labelled = text;
      const { size, family } = chartFont();
      const line = { text, color: tokenColor('--text-muted'), fontSize: size, fontFamily: family };
      watermark.applyOptions({ lines: [line] });
    },
    clear() {
      for (const one of series) one.setData([]);
    },
    remove() {
      watermark.detach();
      for (const one of series) chart.removeSeries(one);
    },
  };
}
