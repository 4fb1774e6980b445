/** A backtest's page: its progress while it runs, its report when it is done. */

import { ApiError, get, post, remove } from './api.js';
import { showDrawdowns, showPerCoin, showRefusals } from './backtest-breakdown.js';
import { backtestCurves } from './backtest-curves.js';
import { showKnowledge } from './backtest-knowledge.js';
import { showMetrics } from './backtest-metrics.js';
import { showMonthlyReturns } from './backtest-monthly.js';
import { backtestPriceChart, coinButtons } from './backtest-price-chart.js';
import { isUnfinished, runCoins, runName, runProgressLine, runRange, statusBadge } from './backtest-runs.js';
import { showCandlesUsed, showConfig } from './backtest-terms.js';
import { warningText } from './backtest-warnings.js';
import { downloadTrips, numbered, tripColumns } from './backtest-trades.js';
import { confirmed } from './dialog.js';
import { byId, element, replaceContent, setText } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { formatNumber } from './format.js';
import { showHistogram } from './histogram.js';
import { t } from './i18n.js';
import { lineChart } from './line-chart.js';
import { failureText } from './backtest-failures.js';
import { onStreamResumed, streamState, subscribe } from './stream.js';
import { dataTable } from './table.js';
import { toastError } from './toast.js';

/** @typedef {import('./backtest-runs.js').Run} Run */
/** @typedef {import('./backtest-runs.js').Progress} Progress */
/** @typedef {import('./backtest-trades.js').NumberedTrip} NumberedTrip */

const POLL_MS = 2_000;
const MOST_ROWS = 1_000;

const id = Number(byId('backtest').dataset['backtestId']);
const address = `/api/backtests/${id}`;
const state = byId('run-state');
/** @type {ReturnType<typeof runProgress> | null} */
let progress = null;
let reading = false;
let shownStatus = '';

async function read() {
  if (reading) return;
  reading = true;
  try {
    const [run, traders] = await Promise.all([get(address), get('/api/traders')]);
    const traderNames = new Map(traders.map((/** @type {any} */ { key, name }) => [key, t(name)]));
    showRun(run, runName(run, traderNames));
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) showMissing(error.message);
    else showFailure(state, error, read);
  } finally {
    reading = false;
  }
}

/** @param {string} message */
function showMissing(message) {
  for (const action of ['run-again', 'cancel-run', 'delete-run']) byId(action).hidden = true;
  replaceContent(state, emptyState(message, element('a', { class: 'button', href: '/backtest' }, t('All backtests'))));
}

/**
 * @param {Run} run
 * @param {string} name
 */
function showRun(run, name) {
  document.title = `#${id} ${name} · ${t('Backtest')}`;
  setText(byId('run-name'), name);
  setText(byId('run-terms'), [runCoins(run), runRange(run), run.config['interval']].join(' · '));
  shownStatus = run.status;
  replaceContent(byId('run-status'), statusBadge(run));
  byId('cancel-run').hidden = !isUnfinished(run);
  byId('delete-run').hidden = isUnfinished(run);
  if (isUnfinished(run)) {
    progress ??= runProgress();
    return progress.show(run);
  }
  progress?.end();
  progress = null;
  if (run.status === 'done' && run.report) showReport(run, name);
  else replaceContent(state, endNotice(run));
}

/** @param {Run} run that gave no report */
function endNotice(run) {
  const { status } = run;
  const message = status === 'failed' ? failureText(run) || t('This run failed.') : t('This run was cancelled before its end; it has no result.');
  const kind = status === 'failed' ? 'notice notice-error' : 'notice';
  return element('div', { class: kind, 'data-testid': 'run-ended' }, message);
}

function runProgress() {
  const line = runProgressLine(t('Progress of this run'));
  const equity = element('div', { class: 'backtest-equity' });
  replaceContent(state, element('section', { class: 'card' }, element('div', { class: 'card-body backtest-progress' }, line.node, equity)));
  const chart = lineChart(equity, { label: t('Equity so far'), timeAxis: false, legend: false });
  equity.hidden = true;
  /** @type {{ timestamp: number, value: number }[]} */
  const points = [];
  return {
    /** @param {Progress} now */
    show(now) {
      line.show(now);
      if (now.equity === null || now.equity === undefined) return;
      points.push({ timestamp: now.progress, value: now.equity });
      equity.hidden = points.length < 2;
      chart.update([{ name: t('Equity so far'), points, area: 'bottom' }]);
    },
    end: () => chart.destroy(),
  };
}

/**
 * @param {Run} run
 * @param {string} name
 */
function showReport(run, name) {
  const report = /** @type {Record<string, any>} */ (run.report);
  replaceContent(state);
  byId('report').hidden = false;
  byId('export-run').hidden = false;
  byId('compare-run').hidden = false;
  byId('search-run').hidden = run.config['trader'] !== 'scripted' && !report['decisions']?.length;
  replaceContent(byId('warnings'), ...report['warnings'].map((/** @type {import('./backtest-warnings.js').ReportWarning} */ warning) => element('li', { class: 'notice notice-warn' }, warningText(warning))));
  showMetrics(report['summary']);
  const knownUntil = showKnowledge(report['knowledge']) ?? -Infinity;
  showTrades(run.config, report, knownUntil); // first, as it fetches candles
  const curves = backtestCurves();
  curves.show(report['account_values']);
  curves.shadeUntil(knownUntil);
  showTables(run.config, report, name);
  document.addEventListener('displaychange', () => showTables(run.config, report, name));
}

/**
 * @param {Record<string, any>} config
 * @param {Record<string, any>} report
 * @param {string} name
 */
function showTables(config, report, name) {
  showMonthlyReturns(byId('monthly'), report['monthly_returns']);
  showDistribution(report['trades']);
  showPerCoin(byId('per-coin'), report['per_coin']);
  showDrawdowns(byId('drawdowns'), report['drawdowns']);
  showRefusals(byId('refusals'), report['refusals']);
  showConfig(byId('config'), config, name);
  showCandlesUsed(byId('candles'), byId('provenance'), report['data']);
}

/** @param {readonly { return_percentage: number }[]} trades */
function showDistribution(trades) {
  const container = byId('distribution');
  if (!trades.length) return replaceContent(container, element('p', { class: 'muted' }, t('This run closed no trade.')));
  const returns = trades.map(({ return_percentage: percent }) => percent);
  showHistogram(container, returns, { label: t('Returns of the trades'), format: (percent) => `${formatNumber(percent, 1)} %` });
}

/**
 * @param {Record<string, any>} config
 * @param {Record<string, any>} report
 * @param {number} knownUntil milliseconds up to which the model may remember the prices
 */
function showTrades(config, report, knownUntil) {
  const trips = numbered(report['trades']);
  const warmups = Object.values(report['data']['coins'] ?? {}).map(({ warmup_bars: bars }) => bars);
  const chart = backtestPriceChart(config, Math.max(0, ...warmups), trips, knownUntil);
  const markCoin = coinButtons(byId('price-coins'), config['coins'], showCoin);
  const table = tripTable();
  /** @type {NumberedTrip | null} */
  let selected = null;

  const shown = trips.slice(-MOST_ROWS);
  if (shown.length < trips.length) {
    setText(byId('trades-note'), t('The last %(shown)s of %(all)s; the CSV file has all.', { shown: formatNumber(shown.length), all: formatNumber(trips.length) }));
  }
  const exportButton = byId('export-trades');
  exportButton.toggleAttribute('disabled', trips.length === 0);
  exportButton.addEventListener('click', () => downloadTrips(trips, id));

  /** @param {string} coin */
  function showCoin(coin) {
    markCoin(coin);
    select(null);
    chart.showCoin(coin);
  }

  /** @param {NumberedTrip | null} trip */
  function select(trip) {
    selected = trip;
    for (const row of byId('trades').querySelectorAll('tr')) {
      const isSelected = trip !== null && row.dataset['key'] === String(trip.number);
      row.toggleAttribute('aria-current', isSelected);
      if (isSelected) row.scrollIntoView({ block: 'nearest' });
    }
    byId('previous-trade').toggleAttribute('disabled', trips.length === 0 || trip?.number === 1);
    byId('next-trade').toggleAttribute('disabled', trips.length === 0 || trip?.number === trips.length);
  }

  /** @param {NumberedTrip | undefined} trip */
  async function go(trip) {
    if (!trip) return;
    markCoin(trip.coin);
    select(trip);
    await chart.showTrip(trip).catch(toastError);
  }

  byId('previous-trade').addEventListener('click', () => go(trips[(selected?.number ?? trips.length + 1) - 2]));
  byId('next-trade').addEventListener('click', () => go(trips[selected?.number ?? 0]));
  byId('trades').addEventListener('click', (event) => {
    const row = /** @type {HTMLElement} */ (event.target).closest('tbody tr');
    const number = Number(/** @type {HTMLElement | null} */ (row)?.dataset['key']);
    if (!number) return;
    go(trips[number - 1]);
    byId('price-chart').scrollIntoView({ block: 'nearest' });
  });
  document.addEventListener('displaychange', () => {
    table.update(shown);
    select(selected);
  });
  showCoin(trips.at(-1)?.coin ?? config['coins'][0]); // its candles come while the rows are made
  table.update(shown);
}

function tripTable() {
  return dataTable(byId('trades'), {
    label: t('Trades'),
    columns: tripColumns(),
    keyOf: (/** @type {NumberedTrip} */ { number }) => number,
    urlKey: 'order',
    testId: 'backtest-trades',
    empty: () => emptyState(t('This run closed no trade.')),
  });
}

byId('cancel-run').addEventListener('click', async () => {
  try {
    await post(`${address}/cancel`);
    await read();
  } catch (error) {
    toastError(error);
  }
});

byId('delete-run').addEventListener('click', async () => {
  const sure = await confirmed({
    title: t('Delete backtest %(id)s', { id }),
    message: t('The run, its report and its trades are deleted. The candles stay. This cannot be undone.'),
    confirmLabel: t('Delete'),
  });
  if (!sure) return;
  try {
    await remove(address);
    location.assign('/backtest');
  } catch (error) {
    toastError(error);
  }
});

subscribe('backtest', (/** @type {Progress} */ now) => {
  if (now.id !== id) return;
  progress?.show(now);
  if (now.status !== shownStatus) read();
});
setInterval(() => {
  if (progress && streamState() !== 'live' && !document.hidden) read();
}, POLL_MS);
onStreamResumed(() => {
  if (progress) read();
});
await read();
