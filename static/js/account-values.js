/** Account values over time: one line a model, live, over a chosen window; drawdown under it where wanted. */

import { get } from './api.js';
import { element, replaceContent } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { formatPercent } from './format.js';
import { t } from './i18n.js';
import { lineChart } from './line-chart.js';
import { subscribe } from './stream.js';
import { throttle } from './throttle.js';
import { fromUrl, toUrl } from './url-state.js';

const WINDOWS = ['1d', '1w', '1m', 'all'];
const MOST_POINTS = 500;
const DRAW_EVERY_MS = 1_000;
/** Traders that the others are measured against. */
const BASELINES = new Set(['buy_and_hold', 'equal_weight', 'random']);

/** @typedef {{ timestamp: string, value: number }} Point */
/** @typedef {{ model_id: number, model_name: string, trader: string, data: Point[] }} AccountLine */

/**
 * @param {HTMLElement} container
 * @param {object} options
 * @param {HTMLElement} options.windowButtons
 * @param {(modelId: number) => string} options.colorOf a design token
 * @param {boolean} [options.drawdown] shown under the values
 */
export function accountValues(container, { windowButtons, colorOf, drawdown = false }) {
  const chartNode = element('div');
  const drawdownNode = element('div', { class: 'chart-short', hidden: !drawdown });
  const note = element('div', { hidden: true });
  const frame = element('div', {}, chartNode, drawdownNode);
  /** @type {import('./line-chart.js').LineChart | null} */
  let values = null;
  /** @type {import('./line-chart.js').LineChart | null} */
  let drawdowns = null;
  /** @type {AccountLine[]} */
  let lines = [];
  /** @type {number | null} */
  let modelId = null;
  let asked = 0;
  let chosenWindow = WINDOWS.find((name) => name === fromUrl('window')) ?? '1d';

  windowButtons.addEventListener('click', (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest('button');
    if (!button || button.value === chosenWindow) return;
    chosenWindow = button.value;
    toUrl({ window: chosenWindow === '1d' ? null : chosenWindow });
    showWindow();
    load(modelId);
  });
  subscribe('account_value', append);
  const drawSoon = throttle(draw, DRAW_EVERY_MS);
  showWindow();

  function showWindow() {
    for (const button of windowButtons.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(button.value === chosenWindow));
    }
  }

  /** Shows one model, or all. @param {number | null} id */
  async function load(id) {
    modelId = id;
    const question = ++asked;
    try {
      const answer = await get('/api/models/chart-data', { window: chosenWindow, limit: MOST_POINTS, model_id: id });
      if (question !== asked) return;
      lines = answer;
      draw();
    } catch (error) {
      if (question === asked) showFailure(container, error, () => load(id));
    }
  }

  /** @param {{ model_id: number, timestamp: string, total_value: number }} event */
  function append({ model_id, timestamp, total_value }) {
    const line = lines.find((candidate) => candidate.model_id === model_id);
    if (!line) return;
    const last = line.data.at(-1);
    if (last && last.timestamp >= timestamp) return;
    line.data.push({ timestamp, value: total_value });
    // Many live points: every other one of the older half is enough for a line.
    if (line.data.length > 4 * MOST_POINTS)
      line.data = line.data.filter((_, index) => index > 2 * MOST_POINTS || index % 2 === 0);
    drawSoon();
  }

  function draw() {
    const shown = lines.filter(({ data }) => data.length > 0);
    if (shown.length === 0) {
      replaceContent(note, emptyState(t('No account values yet. They are recorded with every cycle.')));
    } else if (!values) createCharts();
    note.hidden = shown.length > 0;
    frame.hidden = shown.length === 0;
    if (note.parentNode !== container) replaceContent(container, frame, note);
    if (shown.length === 0) return;
    values?.update(shown.map((line) => series(line, shown.length === 1)));
    drawdowns?.update(shown.map(drawdownSeries));
  }

  function createCharts() {
    replaceContent(container, frame, note);
    values = lineChart(chartNode, {
      label: t('Account value'),
      timeAxis: !drawdown,
      onHover: (time) => drawdowns?.showAt(time),
    });
    if (!drawdown) return;
    drawdowns = lineChart(drawdownNode, {
      label: t('Drawdown'),
      formatValue: (value) => formatPercent(value, false),
      formatAxis: (value) => formatPercent(value, false),
      highest: 0,
      onHover: (time) => values?.showAt(time),
    });
  }

  /**
   * @param {AccountLine} line
   * @param {boolean} alone
   * @returns {import('./line-chart.js').Series}
   */
  function series({ model_id, model_name, trader, data }, alone) {
    const dashed = !alone && BASELINES.has(trader);
    const line = { name: model_name, points: data, color: colorOf(model_id), dashed };
    return alone ? { ...line, area: 'bottom' } : line;
  }

  return { load };
}

/**
 * How far under its highest value so far the account was, in percent.
 *
 * @param {AccountLine} line
 * @returns {import('./line-chart.js').Series}
 */
function drawdownSeries({ data }) {
  let peak = -Infinity;
  const points = data.map(({ timestamp, value }) => {
    peak = Math.max(peak, value);
    return { timestamp, value: peak > 0 ? 100 * (value / peak - 1) : null };
  });
  return { name: t('Drawdown'), points, color: '--down-chart', area: 'zero' };
}
