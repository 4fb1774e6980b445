/** The Backtest page: the form, the runs under way, those that have ended. */

import { ApiError, get, post, remove } from './api.js';
import { backtestForm, fetchChoices } from './backtest-form.js';
import { isUnfinished, runProgressLine, runCoins, runName, runRange, statusBadge, statusWord } from './backtest-runs.js';
import { confirmed } from './dialog.js';
import { byId, element, replaceContent } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { clearFieldErrors, invalidFields, showFieldErrors } from './fields.js';
import { directionClass, formatNumber, formatPercent, formatTime } from './format.js';
import { t } from './i18n.js';
import { failureText } from './backtest-failures.js';
import { onStreamResumed, streamState, subscribe } from './stream.js';
import { sweepForm } from './sweep-form.js';
import { sweepList } from './sweep-runs.js';
import { dataTable } from './table.js';
import { throttle } from './throttle.js';
import { toast, toastError } from './toast.js';
import { fromUrl } from './url-state.js';

/** @typedef {import('./backtest-runs.js').Run} Run */
/** @typedef {import('./backtest-runs.js').Progress} Progress */

const POLL_MS = 2_000;
const MOST_RUNS = 200;
const MOST_COMPARED = 4;
/** What may vary of decisions that are recorded. */
const SCRIPT = { key: 'scripted', params_schema: {} };

/** @type {Run[]} */
let runs = [];
/** @type {Map<string, string>} */
const traderNames = new Map();
/** @type {Map<number, { node: HTMLElement, progress: ReturnType<typeof runProgressLine> }>} */
const queue = new Map();
/** Ticked to be compared. @type {Set<number>} */
const compared = new Set();
/** Asked for on this page: their end is told. @type {Set<number>} */
const asked = new Set();

const history = dataTable(byId('history'), {
  label: t('History'),
  columns: historyColumns(),
  keyOf: (/** @type {Run} */ { id }) => id,
  order: '-id',
  urlKey: 'order',
  testId: 'backtest-history',
  exportButton: byId('export-history'),
  fileName: 'backtests',
  empty: () => emptyState(t('No backtest has ended yet. Fill in the form and run one.')),
});

/** @returns {import('./table.js').Column<Run>[]} */
function historyColumns() {
  const figure = (/** @type {string} */ key) => (/** @type {Run} */ { summary }) => summary?.[key] ?? null;
  return [
    { key: 'compare', label: t('Compare'), show: compareBox },
    { key: 'id', label: '#', value: ({ id }) => id, show: ({ id }) => element('a', { href: `/backtest/${id}`, 'data-testid': 'open-backtest' }, `#${id}`) },
    { key: 'trader', label: t('Trader'), value: (run) => `${runName(run, traderNames)} · ${runCoins(run)}`, show: traderCell },
    { key: 'range', label: t('Range'), value: (run) => `${runRange(run)} · ${run.config['interval']}`, show: rangeCell },
    { key: 'status', label: t('Status'), value: ({ status }) => statusWord(status), show: statusBadge },
    {
      key: 'return',
      label: t('Return'),
      number: true,
      value: figure('return_percentage'),
      show: (run) => formatPercent(figure('return_percentage')(run)),
      className: (run) => directionClass(figure('return_percentage')(run)),
    },
    { key: 'drawdown', label: t('Drawdown'), number: true, value: figure('max_drawdown'), show: (run) => formatPercent(figure('max_drawdown')(run), false) },
    { key: 'sharpe', label: t('Sharpe'), number: true, value: figure('sharpe'), show: (run) => formatNumber(figure('sharpe')(run), 2) },
    { key: 'trades', label: t('Trades'), number: true, value: figure('total_trades'), show: (run) => formatNumber(figure('total_trades')(run)) },
    { key: 'created', label: t('Asked for'), value: ({ created_at: time }) => time, show: createdCell },
    { key: 'delete', label: t('Actions'), show: deleteButton, className: () => 'actions' },
  ];
}

/** @param {Run} run */
function compareBox({ id, status }) {
  if (status !== 'done') return '';
  const box = element('input', { type: 'checkbox', 'aria-label': t('Compare backtest %(id)s', { id }), 'data-testid': 'compare-run' });
  box.checked = compared.has(id);
  box.addEventListener('change', () => {
    if (box.checked) compared.add(id);
    else compared.delete(id);
    showComparison();
  });
  return box;
}

function showComparison() {
  const full = compared.size >= MOST_COMPARED;
  for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (byId('history').querySelectorAll('[data-testid="compare-run"]'))) {
    box.disabled = full && !box.checked;
  }
  const link = byId('compare-chosen');
  link.hidden = compared.size < 2;
  link.setAttribute('href', `/backtest/compare?ids=${[...compared].join(',')}`);
}

/** @param {Run} run */
function traderCell(run) {
  return element('span', {}, runName(run, traderNames), element('span', { class: 'cell-note' }, runCoins(run)));
}

/** @param {Run} run */
function rangeCell(run) {
  return element('span', {}, runRange(run), element('span', { class: 'cell-note' }, run.config['interval']));
}

/** @param {Run} run */
function createdCell({ created_at: time }) {
  return element('span', { title: formatTime(time, 'full') }, formatTime(time, 'monthDay'));
}

/** @param {Run} run */
function deleteButton({ id }) {
  const name = t('Delete backtest %(id)s', { id });
  return element('button', { type: 'button', class: 'button button-quiet button-small', 'aria-label': name, 'data-testid': 'delete-backtest' }, t('Delete'));
}

byId('history').addEventListener('click', async (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest('[data-testid="delete-backtest"]');
  const id = button?.closest('tr')?.dataset['key'];
  if (!id) return;
  const sure = await confirmed({
    title: t('Delete backtest %(id)s', { id }),
    message: t('The run, its report and its trades are deleted. The candles stay. This cannot be undone.'),
    confirmLabel: t('Delete'),
  });
  if (!sure) return;
  try {
    await remove(`/api/backtests/${id}`);
    await readRuns();
  } catch (error) {
    toastError(error);
  }
});

async function readRuns() {
  runs = await get('/api/backtests', { limit: MOST_RUNS });
  showRuns();
}

function showRuns() {
  history.update(runs.filter((run) => !isUnfinished(run)));
  for (const id of compared) if (!runs.some((run) => run.id === id)) compared.delete(id);
  showComparison();
  const unfinished = runs.filter(isUnfinished);
  const kept = new Set(unfinished.map(({ id }) => id));
  for (const [id, { node }] of queue) {
    if (kept.has(id)) continue;
    node.remove();
    queue.delete(id);
  }
  for (const run of unfinished) {
    const row = queue.get(run.id) ?? queueRow(run);
    row.progress.show(run);
  }
  byId('queue-card').hidden = unfinished.length === 0;
  for (const run of runs) if (asked.has(run.id) && !isUnfinished(run)) tellEnd(run);
}

/** @param {Run} run */
function queueRow(run) {
  const name = `#${run.id} ${runName(run, traderNames)}`;
  const progress = runProgressLine(name);
  const cancel = element('button', { type: 'button', class: 'button button-small', 'aria-label': t('Cancel backtest %(id)s', { id: run.id }), 'data-testid': 'cancel-backtest' }, t('Cancel'));
  cancel.addEventListener('click', async () => {
    cancel.disabled = true;
    try {
      await post(`/api/backtests/${run.id}/cancel`);
    } catch (error) {
      toastError(error);
    }
    await readRuns().catch(toastError);
  });
  const node = element(
    'li',
    { class: 'queue-row', 'data-testid': 'backtest-queue-row', 'data-key': run.id },
    element(
      'div',
      { class: 'queue-name' },
      element('a', { href: `/backtest/${run.id}` }, name),
      element('span', { class: 'muted' }, [runCoins(run), runRange(run), run.config['interval']].join(' · ')),
    ),
    progress.node,
    cancel,
  );
  byId('queue').append(node);
  const row = { node, progress };
  queue.set(run.id, row);
  return row;
}

/** @param {Run} run asked for on this page, and now ended */
function tellEnd(run) {
  asked.delete(run.id);
  const name = `#${run.id} ${runName(run, traderNames)}`;
  if (run.status === 'cancelled') return toast(t('%(backtest)s was cancelled.', { backtest: name }));
  const outcome = run.status === 'done' ? formatPercent(run.summary?.['return_percentage']) : failureText(run);
  replaceContent(
    byId('backtest-finished'),
    element(
      'div',
      { class: run.status === 'done' ? 'notice' : 'notice notice-error' },
      element('span', {}, `${name}: ${statusWord(run.status)} · ${outcome}`),
      element('a', { class: 'button button-small', href: `/backtest/${run.id}`, 'data-testid': 'open-finished' }, t('Open the result')),
    ),
  );
}

async function showForm() {
  const container = byId('backtest-form');
  try {
    const [choices, start] = await Promise.all([fetchChoices(), startingPoint()]);
    for (const { key, name } of choices.traders) traderNames.set(key, t(name));
    const parts = backtestForm(choices, start);
    const problem = element('div', { class: 'notice notice-error', role: 'alert', hidden: true, 'data-testid': 'form-error' });
    const sweep = sweepForm();
    const run = element('button', { type: 'submit', class: 'button button-primary', 'data-testid': 'run-backtest' }, t('Run backtest'));
    const form = element('form', { class: 'form', novalidate: true }, ...parts.nodes, sweep.node, element('div', { class: 'backtest-actions' }, problem, run));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      submit(form, parts.request, problem, run);
    });
    const searched = Number(fromUrl('search')) || null; // a finished run whose decisions are searched under other terms
    const showAxes = () => sweep.show(searched === null ? chosenTrader(choices, parts.request()) : SCRIPT, searched);
    const searchOf = () => (searched === null ? { run: parts.request() } : { backtest_id: searched });
    form.addEventListener('change', (event) => {
      if (['trader', 'model_id'].includes(/** @type {HTMLInputElement} */ (event.target).name)) showAxes();
    });
    form.querySelector('[data-testid="who-strategy"]')?.addEventListener('click', showAxes);
    form.querySelector('[data-testid="who-model"]')?.addEventListener('click', showAxes);
    sweep.start.addEventListener('click', () => startSweep(form, () => ({ ...searchOf(), ...sweep.request() }), problem, sweep.start));
    showAxes();
    replaceContent(container, form);
    if (searched !== null) sweep.node.scrollIntoView({ block: 'center' });
  } catch (error) {
    showFailure(container, error, showForm);
  }
}

/**
 * Whose parameters a search may vary; none of a trader that asks a language model.
 *
 * @param {import('./backtest-form.js').Choices} choices
 * @param {Record<string, any>} request
 */
function chosenTrader({ traders, models }, request) {
  const key = request['trader'] ?? models.find(({ id }) => id === request['model_id'])?.trader;
  return traders.find((trader) => trader.key === key && key !== 'ai') ?? null;
}

/**
 * @param {HTMLFormElement} form
 * @param {() => Record<string, unknown>} request
 * @param {HTMLElement} problem
 * @param {HTMLButtonElement} button
 */
async function startSweep(form, request, problem, button) {
  problem.hidden = true;
  const wrong = invalidFields(form);
  if (Object.keys(wrong).length) return showWrong(form, wrong, problem);
  clearFieldErrors(form);
  button.disabled = true;
  try {
    const { id } = await post('/api/backtests/sweep', request());
    location.assign(`/backtest/sweeps/${id}`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const fields = Object.entries(error.fields).map(([name, reason]) => [name.replace(/^run\./, ''), reason]);
    showWrong(form, Object.fromEntries(fields), problem, error.message);
  } finally {
    button.disabled = false;
  }
}

/** What the address asks to begin with: an earlier run, a model or a trader. @returns {Promise<Record<string, any>>} */
async function startingPoint() {
  const earlier = fromUrl('from');
  if (earlier) {
    const { config, model_id } = await get(`/api/backtests/${encodeURIComponent(earlier)}`);
    return config.llm && model_id ? { ...config, model_id } : config; // an LLM is asked as its model
  }
  const [model, trader] = [fromUrl('model'), fromUrl('trader')];
  return { ...(model ? { model_id: Number(model) } : {}), ...(trader ? { trader } : {}) };
}

/**
 * @param {HTMLFormElement} form
 * @param {() => Record<string, unknown>} request
 * @param {HTMLElement} problem
 * @param {HTMLButtonElement} button
 */
async function submit(form, request, problem, button) {
  problem.hidden = true;
  const wrong = invalidFields(form);
  if (Object.keys(wrong).length) return showWrong(form, wrong, problem);
  clearFieldErrors(form);
  button.disabled = true;
  button.setAttribute('aria-busy', 'true');
  try {
    const answer = await post('/api/backtest/run', request());
    if (answer.status === 'done') return location.assign(`/backtest/${answer.id}`); // the same run is stored
    asked.add(answer.id);
    await readRuns();
    byId('queue-card').scrollIntoView({ block: 'nearest' });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showWrong(form, error.fields, problem, error.message);
  } finally {
    button.disabled = false;
    button.removeAttribute('aria-busy');
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {Record<string, string>} fields
 * @param {HTMLElement} problem
 * @param {string} [message]
 */
function showWrong(form, fields, problem, message = t('Some fields need another look.')) {
  const homeless = Object.entries(showFieldErrors(form, fields)).map(([name, reason]) => `${name}: ${reason}`);
  const advanced = form.querySelector('details');
  if (advanced?.querySelector('[aria-invalid]')) advanced.open = true;
  replaceContent(problem, [message, ...homeless].join(' '));
  problem.hidden = false;
}

subscribe('backtest', (/** @type {Progress} */ progress) => {
  const row = queue.get(progress.id);
  const ended = progress.status !== 'queued' && progress.status !== 'running';
  if (row && !ended) row.progress.show(progress);
  if (!row || ended) refresh();
});

const refresh = throttle(() => {
  readRuns().catch(() => {}); // the next poll tries again; the status bar shows that the server is away
}, 500);

setInterval(() => {
  const waits = asked.size > 0 || queue.size > 0;
  if (waits && !document.hidden && streamState() !== 'live') refresh();
}, POLL_MS);
onStreamResumed(refresh);
document.addEventListener('displaychange', showRuns);

async function showHistory() {
  try {
    await readRuns();
  } catch (error) {
    showFailure(byId('history'), error, showHistory);
  }
}

await showForm();
await showHistory();
await sweepList(traderNames).read().catch(toastError);
