/** A search's page: its progress while it runs; then the map, the table and the walk-forward. */

import { ApiError, get, post, remove } from './api.js';
import { runCoins, runName, runRange, statusBadge } from './backtest-runs.js';
import { confirmed } from './dialog.js';
import { byId, element, replaceContent, setText } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { select } from './fields.js';
import { directionClass, formatMoney, formatNumber, formatPercent, isNumber, NOTHING } from './format.js';
import { t } from './i18n.js';
import { lineChart } from './line-chart.js';
import { progressLine } from './progress-line.js';
import { axisLabel, axisValue } from './sweep-axes.js';
import { showHeatMap, valuesOf } from './sweep-heat-map.js';
import { failureText } from './backtest-failures.js';
import { asRun, isUnderWay } from './sweep-runs.js';
import { dataTable } from './table.js';
import { toastError } from './toast.js';

/** @typedef {import('./sweep-runs.js').Sweep} Sweep */
/** @typedef {Record<string, any>} Row */

const POLL_MS = 700;
const MOST_ROWS = 2_000;
/** What a backtest is asked for with, of a search's run. */
const RUN_TERMS = [
  'trader', 'coins', 'start_date', 'end_date', 'interval', 'decide_every', 'initial_capital', 'trade_fee_rate', 'slippage_bps', 'fill',
  'funding', 'liquidation', 'lot_rounding', 'warmup_bars', 'risk',
];

/** @type {Record<string, { label: string, show: (value: number | null) => string }>} */
const FIGURES = {
  return_percentage: { label: t('Return'), show: formatPercent },
  sharpe: { label: t('Sharpe'), show: (value) => formatNumber(value, 2) },
  calmar: { label: t('Calmar'), show: (value) => formatNumber(value, 2) },
  max_drawdown: { label: t('Drawdown'), show: (value) => formatPercent(value, false) },
  total_trades: { label: t('Trades'), show: (value) => formatNumber(value) },
  total_fees: { label: t('Fees'), show: formatMoney },
  deflated_sharpe: { label: t('Deflated Sharpe'), show: (value) => (isNumber(value) ? formatPercent(100 * value, false) : NOTHING) },
};

const id = Number(byId('sweep').dataset['sweepId']);
const address = `/api/backtests/sweeps/${id}`;
const state = byId('sweep-state');
const progress = progressLine(t('Progress of this search'), 'sweep');
let shown = false;

async function read() {
  try {
    const [sweep, traders] = await Promise.all([get(address), get('/api/traders')]);
    const names = new Map(traders.map((/** @type {any} */ { key, name }) => [key, t(name)]));
    showSweep(sweep, runName(asRun(sweep), names));
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) {
      replaceContent(state, emptyState(error.message, element('a', { class: 'button', href: '/backtest' }, t('All backtests'))));
    } else showFailure(state, error, read);
  }
}

/**
 * @param {Sweep} sweep
 * @param {string} name
 */
function showSweep(sweep, name) {
  const run = asRun(sweep);
  document.title = `#${id} ${name} · ${t('Parameter search')}`;
  setText(byId('sweep-name'), name);
  setText(byId('sweep-terms'), [runCoins(run), runRange(run), run.config['interval'], t('%(count)s combinations', { count: formatNumber(sweep.tries) })].join(' · '));
  replaceContent(byId('sweep-status'), statusBadge(run));
  byId('cancel-sweep').hidden = !isUnderWay(sweep);
  byId('delete-sweep').hidden = isUnderWay(sweep);
  if (isUnderWay(sweep)) {
    if (!progress.node.isConnected) replaceContent(state, element('section', { class: 'card' }, element('div', { class: 'card-body' }, progress.node)));
    progress.show(sweep.progress, sweep.status === 'queued' ? t('waiting for its turn') : '');
    setTimeout(read, POLL_MS);
    return;
  }
  if (sweep.status === 'done' && sweep.result) return shown ? undefined : showResult(sweep, sweep.result);
  const words = sweep.status === 'failed' ? failureText(sweep) || t('This search failed.') : t('This search was cancelled before its end; it has no result.');
  replaceContent(state, element('div', { class: sweep.status === 'failed' ? 'notice notice-error' : 'notice', 'data-testid': 'sweep-ended' }, words));
}

/**
 * @param {Sweep} sweep
 * @param {Record<string, any>} result
 */
function showResult(sweep, result) {
  shown = true;
  replaceContent(state);
  byId('sweep-result').hidden = false;
  showBest(sweep, result);
  showMap(sweep, result);
  showTable(sweep, result);
  if (result['walk_forward']) showWalkForward(result['walk_forward']);
}

/** @param {Row} row */
const paramsText = ({ params }) => Object.entries(params).map(([name, value]) => `${axisLabel(name)} ${axisValue(value)}`).join(', ');

/**
 * @param {Sweep} sweep
 * @param {Record<string, any>} result
 */
function showBest(sweep, result) {
  const best = result['rows'][result['best']];
  const real = best['deflated_sharpe'];
  const doubt = isNumber(real)
    ? t('After %(count)s tries, the probability that its Sharpe ratio is above zero by more than luck is %(percent)s.', { count: formatNumber(sweep.tries), percent: formatPercent(100 * real, false) })
    : t('It has too few days for the deflated Sharpe ratio.');
  const skipped = sweep.skipped ? t('%(count)s combinations do not fit together and were left out.', { count: formatNumber(sweep.skipped) }) : '';
  replaceContent(
    byId('sweep-best'),
    element('p', { 'data-testid': 'sweep-best' }, element('strong', {}, paramsText(best)), ` · ${figureText('return_percentage', best)} · ${t('Sharpe')} ${figureText('sharpe', best)} · ${t('Drawdown')} ${figureText('max_drawdown', best)}`),
    element('p', { class: isNumber(real) && real >= 0.95 ? 'muted' : 'notice notice-warn' }, doubt),
    skipped ? element('p', { class: 'muted' }, skipped) : null,
    runButton(sweep, best),
  );
}

/** @param {string} figure @param {Row} row */
const figureText = (figure, row) => FIGURES[figure]?.show(row[figure] ?? null) ?? '';

/**
 * A backtest of one combination with its whole report; a script is not here to be sent.
 *
 * @param {Sweep} sweep
 * @param {Row} row
 */
function runButton(sweep, row) {
  const run = sweep.config['run'];
  if (run.trader === 'scripted' || String(run.risk).startsWith('{')) return null;
  const button = element('button', { type: 'button', class: 'button button-small', 'data-testid': 'run-combination' }, t('Open as a backtest'));
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      const answer = await post('/api/backtest/run', requestOf(run, row['params']));
      location.assign(`/backtest/${answer.id}`);
    } catch (error) {
      button.disabled = false;
      toastError(error);
    }
  });
  return button;
}

/**
 * @param {Record<string, any>} run
 * @param {Record<string, any>} combination
 */
function requestOf(run, combination) {
  const params = { ...run['params'] };
  const terms = Object.fromEntries(RUN_TERMS.map((name) => [name, run[name]]));
  for (const [name, value] of Object.entries(combination)) {
    if (RUN_TERMS.includes(name)) terms[name] = value;
    else params[name] = value;
  }
  return { ...terms, params };
}

/**
 * @param {Sweep} sweep
 * @param {Record<string, any>} result
 */
function showMap(sweep, result) {
  const rows = result['rows'];
  const axes = result['axes'].filter((/** @type {string} */ axis) => valuesOf(rows, axis).length > 1);
  byId('map-card').hidden = axes.length === 0;
  if (!axes.length) return;
  const names = Object.fromEntries(axes.map((/** @type {string} */ axis) => [axis, axisLabel(axis)]));
  const across = select(names, axes[0]);
  const down = select(names, axes[1] ?? axes[0]);
  const figure = select(Object.fromEntries(Object.entries(FIGURES).map(([key, { label }]) => [key, label])), result['objective']);
  const named = (/** @type {string} */ label, /** @type {HTMLElement} */ control) => element('label', { class: 'sweep-map-choice' }, label, control);
  replaceContent(byId('map-choices'), named(t('Columns'), across), axes.length > 1 ? named(t('Rows'), down) : null, named(t('Figure'), figure));
  const detail = byId('map-detail');
  const draw = () => {
    const other = axes.length > 1 && down.value !== across.value ? down.value : null;
    showHeatMap(byId('heat-map'), rows, { across: across.value, down: other, figure: figure.value, label: FIGURES[figure.value]?.label ?? '' }, (row) => {
      const figures = Object.keys(FIGURES).map((key) => `${FIGURES[key]?.label} ${figureText(key, row)}`).join(' · ');
      replaceContent(detail, element('strong', {}, paramsText(row)), ` · ${figures} `, runButton(sweep, row));
    });
    setText(byId('map-note'), axes.length > 2 ? t('Each place shows the best over the other parameters.') : '');
  };
  for (const control of [across, down, figure]) control.addEventListener('change', draw);
  document.addEventListener('displaychange', draw);
  draw();
}

/**
 * @param {Sweep} sweep
 * @param {Record<string, any>} result
 */
function showTable(sweep, result) {
  const rows = result['rows'].map((/** @type {Row} */ row, /** @type {number} */ place) => ({ ...row, place }));
  const objective = result['objective'];
  const axes = result['axes'].map((/** @type {string} */ axis) => ({
    key: axis,
    label: axisLabel(axis),
    number: rows.every((/** @type {Row} */ { params }) => isNumber(params[axis])),
    value: (/** @type {Row} */ { params }) => (typeof params[axis] === 'boolean' ? String(params[axis]) : params[axis]),
    show: (/** @type {Row} */ { params }) => axisValue(params[axis]),
  }));
  const figures = Object.entries(FIGURES).map(([key, { label, show }]) => ({
    key: `figure-${key}`,
    label,
    number: true,
    value: (/** @type {Row} */ row) => row[key],
    show: (/** @type {Row} */ row) => show(row[key]),
    className: (/** @type {Row} */ row) => (key === 'return_percentage' ? directionClass(row[key]) : ''),
  }));
  const table = dataTable(byId('sweep-rows'), {
    label: t('Combinations'),
    columns: [...axes, ...figures],
    keyOf: (/** @type {Row} */ { place }) => place,
    order: `-figure-${objective}`,
    urlKey: 'order',
    testId: 'sweep-rows',
    exportButton: byId('export-sweep'),
    fileName: `search-${sweep.id}`,
    rowClass: (/** @type {Row} */ { place }) => (place === result['best'] ? 'row-best' : ''),
    empty: () => element('span'),
  });
  const least = (/** @type {Row} */ row) => row[objective] ?? -Infinity;
  const kept = rows.length > MOST_ROWS ? [...rows].sort((one, other) => least(other) - least(one)).slice(0, MOST_ROWS) : rows;
  table.update(kept);
  if (kept.length < rows.length) setText(byId('rows-note'), t('The best %(shown)s of %(all)s.', { shown: formatNumber(kept.length), all: formatNumber(rows.length) }));
}

/** @param {Record<string, any>} walked */
function showWalkForward(walked) {
  byId('walk-card').hidden = false;
  const chart = lineChart(byId('walk-chart'), { label: t('Account value on days that were not fitted on') });
  chart.update([{ name: t('Account'), points: walked['equity'].map((/** @type {any} */ { timestamp, total_value: value }) => ({ timestamp, value })), area: 'bottom' }]);
  setText(
    byId('walk-figures'),
    [formatPercent(walked['return_percentage']), `${t('Sharpe')} ${formatNumber(walked['sharpe'], 2)}`, `${t('Drawdown')} ${formatPercent(walked['max_drawdown'], false)}`].join(' · '),
  );
  const percent = (/** @type {string} */ key, /** @type {string} */ label) => ({
    key,
    label,
    number: true,
    value: (/** @type {Row} */ row) => row[key],
    show: (/** @type {Row} */ row) => formatPercent(row[key]),
    className: (/** @type {Row} */ row) => directionClass(row[key]),
  });
  const table = dataTable(byId('walk-windows'), {
    label: t('Windows'),
    columns: [
      { key: 'fit', label: t('Fitted on'), value: ({ fit_first: first, fit_last: last }) => `${first} – ${last}` },
      { key: 'score', label: t('Judged on'), value: ({ score_first: first, score_last: last }) => `${first} – ${last}` },
      { key: 'params', label: t('Best of the fit'), value: paramsText },
      percent('fit_return_percentage', t('Return, fitted')),
      percent('return_percentage', t('Return, judged')),
      { key: 'sharpe', label: t('Sharpe'), number: true, value: ({ sharpe }) => sharpe, show: ({ sharpe }) => formatNumber(sharpe, 2) },
      { key: 'trades', label: t('Trades'), number: true, value: ({ total_trades: trades }) => trades },
    ],
    keyOf: (/** @type {Row} */ { score_first: first }) => first,
    testId: 'walk-windows',
    empty: () => element('span'),
  });
  table.update(walked['windows']);
}

byId('cancel-sweep').addEventListener('click', async () => {
  try {
    await post(`${address}/cancel`);
    await read();
  } catch (error) {
    toastError(error);
  }
});

byId('delete-sweep').addEventListener('click', async () => {
  const sure = await confirmed({ title: t('Delete search %(id)s', { id }), message: t('The search and its table are deleted. This cannot be undone.'), confirmLabel: t('Delete') });
  if (!sure) return;
  try {
    await remove(address);
    location.assign('/backtest');
  } catch (error) {
    toastError(error);
  }
});

await read();
