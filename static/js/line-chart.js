/**
 * Lines over time on Chart.js, which the page loads before its modules, with `css/charts.css`.
 *
 *     const chart = lineChart(byId('account-value-chart'), { label: t('Account value') });
 *     chart.update([{ name: 'Momentum', points: [{ timestamp: '2022-01-01T00:00:00Z', value: 10000 }] }]);
 *
 * The container is emptied and gets a legend (a button a series, which hides and shows it, with the
 * value under the pointer or else the last) over a canvas as high as `--chart-height` says.
 *
 * @typedef {object} Point
 * @property {number | string} timestamp milliseconds, or ISO 8601
 * @property {number | null} value points without one are left out
 *
 * @typedef {object} Series
 * @property {string} name unique in its chart; a series keeps its place and whether it is hidden by it
 * @property {readonly Point[]} points by time, ascending
 * @property {string} [color] a design token; else `--series-1` to `--series-8` in order
 * @property {boolean} [dashed] for baselines and benchmarks
 * @property {'bottom' | 'zero'} [area] a soft fill down to the bottom, or to zero
 *
 * @typedef {object} LineChartOptions
 * @property {string} label what the chart shows, for screen readers
 * @property {(value: number) => string} [formatValue] in legend and tooltip; money unless told
 * @property {(value: number) => string} [formatAxis] on the value axis; short money unless told
 * @property {boolean} [legend] true unless told
 * @property {boolean} [timeAxis] whether times stand under the chart; true unless told
 * @property {number} [highest] where the value axis ends at least, such as 0 for a drawdown
 * @property {(time: number | null) => void} [onHover] the time under the pointer, null when it left
 *
 * @typedef {object} LineChart
 * @property {(series: readonly Series[]) => void} update shows these series, without flicker
 * @property {(time: number | null) => void} showAt draws the crosshair at a time; for linked charts
 * @property {(time: number) => void} shadeUntil a shade from the beginning to this time
 * @property {() => void} destroy
 */

import { chartFont, onDisplayChange, remPixels, seriesToken, shadeColor, tokenColor, tokenColorFaded } from './chart-theme.js';
import { element, replaceContent, setText } from './element.js';
import { formatMoney, formatMoneyShort, formatTime, NOTHING } from './format.js';
import { timeTicks } from './time-axis.js';

const AXIS_REM = 4;
const TICK_REM = 5.25;
const DASH = [5, 4];

/** @typedef {{ x: number, y: number }} Dot */
/** @typedef {{ series: Series, dots: Dot[], button: HTMLButtonElement, value: HTMLElement }} Line */

/**
 * @param {HTMLElement} container
 * @param {LineChartOptions} options
 * @returns {LineChart}
 */
export function lineChart(container, options) {
  const { formatValue = formatMoney, onHover } = options;
  const canvas = element('canvas', { role: 'img', 'aria-label': options.label });
  const legend = element('div', { class: 'chart-legend', hidden: options.legend === false });
  replaceContent(container, legend, element('div', { class: 'chart-canvas' }, canvas));
  /** @type {Map<string, Line>} */
  const lines = new Map();
  /** @type {Set<string>} */
  const hidden = new Set();
  /** @type {number | null} */
  let hoverTime = null;
  let shadedUntil = -Infinity;

  const chart = new Chart(canvas, {
    type: 'line',
    data: { datasets: [] },
    options: chartOptions(options),
    plugins: [
      { id: 'shade', beforeDatasetsDraw: (drawn) => drawShade(drawn, shadedUntil) },
      { id: 'crosshair', afterDatasetsDraw: (drawn) => drawCrosshair(drawn, hoverTime) },
    ],
  });

  /** @param {number | null} time */
  function showAt(time) {
    if (time === hoverTime) return;
    hoverTime = time;
    updateLegend();
    chart.draw();
  }

  function updateLegend() {
    for (const line of lines.values()) {
      const dot = hoverTime === null ? line.dots.at(-1) : nearestDot(line.dots, hoverTime);
      setText(line.value, dot ? formatValue(dot.y) : NOTHING);
    }
  }

  /** @param {string} name */
  function toggle(name) {
    if (!hidden.delete(name)) hidden.add(name);
    draw();
  }

  /** @param {readonly Series[]} series */
  function update(series) {
    const kept = new Set(series.map(({ name }) => name));
    for (const name of lines.keys()) if (!kept.has(name)) lines.delete(name);
    for (const one of series) {
      const known = lines.get(one.name);
      if (known) Object.assign(known, { series: one, dots: dotsOf(one.points) });
      else lines.set(one.name, { series: one, dots: dotsOf(one.points), ...legendEntry(one.name, toggle) });
    }
    const order = series.map(({ name }) => /** @type {Line} */ (lines.get(name)));
    lines.clear();
    for (const line of order) lines.set(line.series.name, line);
    if (order.some(({ button }, index) => legend.children[index] !== button) || legend.children.length !== order.length) {
      legend.replaceChildren(...order.map(({ button }) => button));
    }
    draw();
  }

  function draw() {
    const order = [...lines.values()];
    chart.data.datasets = order.map((line, index) => {
      const token = line.series.color ?? seriesToken(index);
      line.button.setAttribute('aria-pressed', String(!hidden.has(line.series.name)));
      line.button.style.setProperty('--series-color', `var(${token})`);
      line.button.classList.toggle('chart-legend-dashed', line.series.dashed === true);
      return dataset(line, token, hidden.has(line.series.name));
    });
    Object.assign(chart.options, chartOptions(options));
    fitTimeAxis(chart, order.filter(({ series }) => !hidden.has(series.name)));
    updateLegend();
    canvas.setAttribute('aria-label', spokenLabel(options.label, order, formatValue));
    chart.update('none');
  }

  canvas.addEventListener('pointermove', (event) => {
    const { left, right } = chart.chartArea ?? {};
    if (left === undefined || event.offsetX < left || event.offsetX > right) return leave();
    const time = chart.scales['x']?.getValueForPixel(event.offsetX) ?? null;
    showAt(time);
    onHover?.(time);
  });
  canvas.addEventListener('pointerleave', leave);

  function leave() {
    showAt(null);
    onHover?.(null);
  }

  const forget = onDisplayChange(draw);
  return {
    update,
    showAt,
    shadeUntil(time) {
      shadedUntil = time;
      chart.draw();
    },
    destroy() {
      forget();
      chart.destroy();
    },
  };
}

/** @param {readonly Point[]} points @returns {Dot[]} */
function dotsOf(points) {
  const dots = [];
  for (const { timestamp, value } of points) {
    if (value === null) continue;
    dots.push({ x: typeof timestamp === 'string' ? Date.parse(timestamp) : timestamp, y: value });
  }
  return dots;
}

/**
 * @param {string} name
 * @param {(name: string) => void} toggle
 */
function legendEntry(name, toggle) {
  const value = element('span', { class: 'chart-legend-value' });
  const button = element(
    'button',
    { type: 'button', class: 'chart-legend-entry', 'aria-pressed': 'true', onclick: () => toggle(name) },
    element('span', { class: 'chart-legend-line', 'aria-hidden': 'true' }),
    element('span', { class: 'chart-legend-name' }, name),
    value,
  );
  return { button, value };
}

/**
 * @param {Line} line
 * @param {string} token
 * @param {boolean} isHidden
 * @returns {import('chart.js').ChartDataset<'line', Dot[]>}
 */
function dataset({ series, dots }, token, isHidden) {
  const color = tokenColor(token);
  return {
    label: series.name,
    data: dots,
    hidden: isHidden,
    parsing: false,
    normalized: true,
    borderColor: color,
    backgroundColor: series.area ? tokenColorFaded(token, 0.14) : color,
    fill: series.area === 'bottom' ? 'start' : series.area === 'zero' ? 'origin' : false,
    borderWidth: series.dashed ? 1.25 : 1.75,
    borderDash: series.dashed ? DASH : [],
    borderJoinStyle: 'round',
    pointRadius: dots.length === 1 ? 3 : 0,
    pointHoverRadius: 3,
    pointBackgroundColor: color,
    pointHitRadius: 0,
  };
}

/**
 * @param {LineChartOptions} options
 * @returns {import('chart.js').ChartOptions<'line'>}
 */
function chartOptions({ formatValue = formatMoney, formatAxis, timeAxis, highest }) {
  const font = chartFont();
  const ticks = { color: tokenColor('--text-muted'), font, padding: 6 };
  const axisText = formatAxis ?? ((/** @type {number} */ value) => formatMoneyShort(value));
  return {
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    interaction: { mode: /** @type {any} */ ('eachNearest'), intersect: false },
    scales: {
      x: {
        type: 'linear',
        border: { display: false },
        grid: { color: tokenColor('--grid'), tickLength: 0 },
        ticks: { ...ticks, display: timeAxis !== false, autoSkip: false, maxRotation: 0 },
        afterBuildTicks: placeTimeTicks,
      },
      y: {
        position: 'right',
        border: { display: false },
        grid: { color: tokenColor('--grid'), tickLength: 0 },
        grace: '4%',
        ...(highest === undefined ? {} : { suggestedMax: highest, grace: 0 }),
        ticks: { ...ticks, maxTicksLimit: 6, callback: (value) => axisText(Number(value)) },
        afterFit: (scale) => {
          scale.width = Math.max(remPixels(AXIS_REM), scale.width); // charts under each other line up
        },
      },
    },
    plugins: {
      legend: { display: false },
      decimation: { enabled: true, algorithm: 'min-max' },
      tooltip: tooltipOptions(formatValue),
    },
  };
}

/**
 * @param {(value: number) => string} formatValue
 * @returns {any}
 */
function tooltipOptions(formatValue) {
  const font = chartFont();
  return {
    backgroundColor: tokenColor('--surface-raised'),
    borderColor: tokenColor('--border'),
    borderWidth: 1,
    cornerRadius: 6,
    padding: 8,
    caretSize: 0,
    caretPadding: 12,
    boxWidth: 8,
    boxHeight: 8,
    boxPadding: 4,
    titleColor: tokenColor('--text-muted'),
    titleFont: { ...font, weight: 'normal' },
    bodyColor: tokenColor('--text'),
    bodyFont: font,
    itemSort: (/** @type {any} */ a, /** @type {any} */ b) => b.parsed.y - a.parsed.y,
    callbacks: {
      title: (/** @type {any[]} */ items) => (items[0] ? formatTime(items[0].parsed.x, 'minute') : ''),
      label: (/** @type {any} */ item) => ` ${item.dataset.label}  ${formatValue(item.parsed.y)}`,
      labelColor: (/** @type {any} */ item) => ({
        borderColor: item.dataset.borderColor,
        backgroundColor: item.dataset.borderColor,
        borderWidth: 0,
        borderRadius: 2,
      }),
    },
  };
}

/** @param {import('chart.js').Scale} scale */
function placeTimeTicks(scale) {
  const most = Math.max(2, Math.floor(scale.chart.width / remPixels(TICK_REM)));
  scale.ticks = timeTicks(scale.min, scale.max, most).map(({ time, label }) => ({ value: time, label }));
}

/**
 * The axis ends where the lines end, not at the next round number.
 *
 * @param {import('chart.js').Chart<any, any, any>} chart
 * @param {Line[]} shown
 */
function fitTimeAxis(chart, shown) {
  const x = /** @type {any} */ (chart.options.scales?.['x']);
  const firsts = shown.flatMap(({ dots }) => dots[0]?.x ?? []);
  const lasts = shown.flatMap(({ dots }) => dots.at(-1)?.x ?? []);
  x.min = firsts.length ? Math.min(...firsts) : undefined;
  x.max = lasts.length ? Math.max(...lasts) : undefined;
  x.ticks.callback = (/** @type {number} */ _value, /** @type {number} */ index, /** @type {any[]} */ ticks) =>
    ticks[index].label;
}

/**
 * @param {import('chart.js').Chart<any, any, any>} chart
 * @param {number} until milliseconds
 */
function drawShade({ ctx, chartArea, scales }, until) {
  const x = scales['x'];
  if (!x || until <= x.min) return;
  const right = Math.min(x.getPixelForValue(until), chartArea.right);
  ctx.save();
  ctx.fillStyle = shadeColor();
  ctx.fillRect(chartArea.left, chartArea.top, right - chartArea.left, chartArea.bottom - chartArea.top);
  ctx.restore();
}

/**
 * @param {import('chart.js').Chart<any, any, any>} chart
 * @param {number | null} time
 */
function drawCrosshair(chart, time) {
  const x = chart.scales['x'];
  if (time === null || !x || time < x.min || time > x.max) return;
  const { ctx, chartArea } = chart;
  const left = Math.round(x.getPixelForValue(time)) + 0.5;
  ctx.save();
  ctx.strokeStyle = tokenColor('--crosshair');
  ctx.setLineDash([3, 3]);
  ctx.beginPath();
  ctx.moveTo(left, chartArea.top);
  ctx.lineTo(left, chartArea.bottom);
  ctx.stroke();
  ctx.restore();
}

/**
 * @param {readonly Dot[]} dots by x, ascending
 * @param {number} time
 */
function nearestDot(dots, time) {
  return dots[nearestIndex(dots, time)];
}

/**
 * @param {ArrayLike<{ x: number }>} dots by x, ascending
 * @param {number} x
 * @returns {number} -1 where there are none
 */
function nearestIndex(dots, x) {
  let low = 0;
  let high = dots.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {{ x: number }} */ (dots[middle]).x < x) low = middle + 1;
    else high = middle;
  }
  const before = dots[low - 1];
  const after = dots[low];
  return before && after && x - before.x < after.x - x ? low - 1 : low < dots.length ? low : -1;
}

/**
 * @param {string} label
 * @param {Line[]} lines
 * @param {(value: number) => string} formatValue
 */
function spokenLabel(label, lines, formatValue) {
  const values = lines.map(({ series, dots }) => {
    const last = dots.at(-1);
    return `${series.name} ${last ? formatValue(last.y) : NOTHING}`;
  });
  return [label, ...values].join('; ');
}

/** One point of each line, the nearest in time, though the lines have different times. */
/** @type {any} */ (Chart).Interaction.modes.eachNearest = (
  /** @type {import('chart.js').Chart} */ chart,
  /** @type {{ x: number }} */ position,
) =>
  chart.getSortedVisibleDatasetMetas().flatMap((meta) => {
    const index = nearestIndex(meta.data, position.x);
    return index < 0 ? [] : [{ element: meta.data[index], datasetIndex: meta.index, index }];
  });
