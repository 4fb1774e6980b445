/**
 * Shares of a whole as a ring, and gains and losses as bars, on Chart.js (loaded before the page's
 * modules, with `css/charts.css`).
 *
 *     const ring = ringChart(byId('distribution'), { label: t('Positions') });
 *     ring.update([{ name: 'BTC', value: 4200 }, { name: 'Cash', value: 5800, color: '--series-cash' }]);
 *
 * @typedef {object} Item
 * @property {string} name
 * @property {number} value
 * @property {string} [color] a design token; else the series' colours in order, or up and down for bars
 *
 * @typedef {object} CategoryChartOptions
 * @property {string} label what the chart shows, for screen readers
 * @property {(value: number) => string} [formatValue] money unless told
 *
 * @typedef {object} CategoryChart
 * @property {(items: readonly Item[]) => void} update
 * @property {() => void} destroy
 */

/**
 * @template {'doughnut' | 'bar'} Type
 * @typedef {import('chart.js').ChartData<Type, number[], string>} Data
 */

import { chartFont, onDisplayChange, seriesToken, tokenColor } from './chart-theme.js';
import { element, replaceContent } from './element.js';
import { formatMoney, formatMoneyShort, formatPercent } from './format.js';

/** @type {import('chart.js').ChartOptions<'doughnut'>} */
const RING_OPTIONS = { animation: false, responsive: true, maintainAspectRatio: false, cutout: '68%' };

/**
 * A ring with a legend that gives each value and its share.
 *
 * @param {HTMLElement} container
 * @param {CategoryChartOptions} options
 * @returns {CategoryChart}
 */
export function ringChart(container, { label, formatValue = formatMoney }) {
  const legend = element('ul', { class: 'ring-legend' });
  const drawing = categoryChart(container, label, formatValue, legend);
  const chart = new Chart(drawing.canvas, {
    type: 'doughnut',
    data: /** @type {Data<'doughnut'>} */ ({ labels: [], datasets: [{ data: [] }] }),
    options: RING_OPTIONS,
  });
  return drawing.controls(chart, (items) => {
    const total = items.reduce((sum, { value }) => sum + value, 0);
    const tokens = items.map(({ color }, index) => color ?? seriesToken(index));
    replaceContent(legend, ...items.map((item, index) => ringLegendRow(item, tokens[index] ?? '', total, formatValue)));
    chart.data.labels = items.map(({ name }) => name);
    chart.data.datasets = [
      {
        data: items.map(({ value }) => value),
        backgroundColor: tokens.map(tokenColor),
        borderColor: tokenColor('--surface'),
        borderWidth: 2,
      },
    ];
    chart.options.plugins = { legend: { display: false }, tooltip: tooltip(formatValue) };
  });
}

/**
 * @param {Item} item
 * @param {string} token
 * @param {number} total
 * @param {(value: number) => string} formatValue
 */
function ringLegendRow({ name, value }, token, total, formatValue) {
  const swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' });
  swatch.style.setProperty('--series-color', `var(${token})`);
  return element(
    'li',
    {},
    swatch,
    element('span', { class: 'ring-legend-name' }, name),
    element('span', { class: 'number' }, formatValue(value)),
    element('span', { class: 'number muted' }, formatPercent(total ? (100 * value) / total : null, false)),
  );
}

/**
 * Horizontal bars from zero, in the colours of up and down unless told.
 *
 * @param {HTMLElement} container
 * @param {CategoryChartOptions} options
 * @returns {CategoryChart}
 */
export function barChart(container, { label, formatValue = formatMoney }) {
  const drawing = categoryChart(container, label, formatValue);
  const chart = new Chart(drawing.canvas, {
    type: 'bar',
    data: /** @type {Data<'bar'>} */ ({ labels: [], datasets: [{ data: [] }] }),
    options: { indexAxis: 'y', animation: false, responsive: true, maintainAspectRatio: false },
  });
  return drawing.controls(chart, (items) => {
    chart.data.labels = items.map(({ name }) => name);
    chart.data.datasets = [
      {
        data: items.map(({ value }) => value),
        backgroundColor: items.map(({ value, color }) => tokenColor(color ?? (value < 0 ? '--down-chart' : '--up-chart'))),
        borderRadius: 3,
        maxBarThickness: 18,
      },
    ];
    chart.options.plugins = { legend: { display: false }, tooltip: tooltip(formatValue) };
    chart.options.scales = barScales();
  });
}

/** @returns {any} */
function barScales() {
  const font = chartFont();
  const ticks = { color: tokenColor('--text-muted'), font };
  const border = { display: false };
  return {
    x: {
      border,
      grid: { color: tokenColor('--grid'), tickLength: 0 },
      ticks: { ...ticks, maxTicksLimit: 5, callback: (/** @type {number} */ value) => formatMoneyShort(value) },
    },
    y: { border, grid: { display: false }, ticks: { ...ticks, color: tokenColor('--text') } },
  };
}

/**
 * What both kinds share: the canvas, its spoken label, redrawing when the display changes.
 *
 * @param {HTMLElement} container
 * @param {string} label
 * @param {(value: number) => string} formatValue
 * @param {HTMLElement} [legend]
 */
function categoryChart(container, label, formatValue, legend) {
  const canvas = element('canvas', { role: 'img', 'aria-label': label });
  replaceContent(container, element('div', { class: 'chart-canvas' }, canvas), legend);
  /** @type {readonly Item[]} */
  let shown = [];
  return {
    canvas,
    /**
     * @param {{ update: (mode: 'none') => void, destroy: () => void }} chart
     * @param {(items: readonly Item[]) => void} fill
     * @returns {CategoryChart}
     */
    controls(chart, fill) {
      const draw = () => {
        fill(shown);
        canvas.setAttribute(
          'aria-label',
          [label, ...shown.map(({ name, value }) => `${name} ${formatValue(value)}`)].join('; '),
        );
        chart.update('none');
      };
      const forget = onDisplayChange(draw);
      return {
        update(items) {
          shown = items;
          draw();
        },
        destroy() {
          forget();
          chart.destroy();
        },
      };
    },
  };
}

/**
 * @param {(value: number) => string} formatValue
 * @returns {any}
 */
function tooltip(formatValue) {
  return {
    backgroundColor: tokenColor('--surface-raised'),
    borderColor: tokenColor('--border'),
    borderWidth: 1,
    padding: 8,
    titleColor: tokenColor('--text-muted'),
    bodyColor: tokenColor('--text'),
    displayColors: false,
    callbacks: { label: (/** @type {any} */ item) => formatValue(Number(item.raw)) },
  };
}
