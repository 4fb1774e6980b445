/** Up to four backtests side by side: their figures, and their account values as one chart. */

import { ApiError, get } from './api.js';
import { runCoins, runName, runRange } from './backtest-runs.js';
import { paramTitle } from './backtest-terms.js';
import { byId, element, replaceContent } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { select } from './fields.js';
import { formatMoney, formatNumber, formatPercent, formatProfit, isNumber, NOTHING } from './format.js';
import { t } from './i18n.js';
import { lineChart } from './line-chart.js';
import { fromUrl } from './url-state.js';

/** @typedef {import('./backtest-runs.js').Run} Run */
/** @typedef {{ key: string, label: string, show: (value: any) => string, better?: 1 | -1 }} Figure */

const MOST = 4;
const MOST_CHOICES = 200;

const percent = (/** @type {number | null} */ value) => formatPercent(value);
const plainPercent = (/** @type {number | null} */ value) => formatPercent(value, false);
const ratio = (/** @type {number | null} */ value) => formatNumber(value, 2);
const count = (/** @type {number | null} */ value) => formatNumber(value);
const range = (/** @type {(bound: number) => string} */ show) => (/** @type {[number, number] | null} */ bounds) => (bounds ? `${show(bounds[0])} – ${show(bounds[1])}` : NOTHING);

/** @type {Figure[]} */
const FIGURES = [
  { key: 'final_value', label: t('Final value'), show: formatMoney },
  { key: 'return_percentage', label: t('Return'), show: percent, better: 1 },
  { key: 'return_interval', label: t('Return, 95 of 100'), show: range(percent) },
  { key: 'buy_and_hold_return_percentage', label: t('Buy and hold'), show: percent },
  { key: 'cagr', label: t('Growth a year'), show: percent, better: 1 },
  { key: 'max_drawdown', label: t('Maximum drawdown'), show: plainPercent, better: -1 },
  { key: 'longest_drawdown_days', label: t('Longest drawdown (days)'), show: (value) => formatNumber(value, 1), better: -1 },
  { key: 'volatility', label: t('Volatility'), show: plainPercent },
  { key: 'sharpe', label: t('Sharpe ratio'), show: ratio, better: 1 },
  { key: 'sharpe_interval', label: t('Sharpe ratio, 95 of 100'), show: range(ratio) },
  { key: 'sortino', label: t('Sortino ratio'), show: ratio, better: 1 },
  { key: 'calmar', label: t('Calmar ratio'), show: ratio, better: 1 },
  { key: 'alpha', label: t('Alpha a year'), show: percent, better: 1 },
  { key: 'beta', label: t('Beta'), show: ratio },
  { key: 'luck_probability', label: t('Luck test'), show: (value) => (isNumber(value) ? formatPercent(100 * value, false) : NOTHING), better: -1 },
  { key: 'total_trades', label: t('Closed trades'), show: count },
  { key: 'win_rate', label: t('Win rate'), show: plainPercent, better: 1 },
  { key: 'profit_factor', label: t('Profit factor'), show: ratio, better: 1 },
  { key: 'expectancy', label: t('Profit a trade'), show: formatProfit, better: 1 },
  { key: 'sqn', label: t('System quality (SQN)'), show: ratio, better: 1 },
  { key: 'exposure_percentage', label: t('Time in the market'), show: plainPercent },
  { key: 'turnover', label: t('Turnover (times the account)'), show: (value) => formatNumber(value, 1) },
  { key: 'total_fees', label: t('Fees'), show: formatMoney, better: -1 },
  { key: 'total_slippage', label: t('Slippage'), show: formatMoney, better: -1 },
  { key: 'total_funding', label: t('Funding paid'), show: formatMoney, better: -1 },
];

const SAID_ABOVE = new Set(['params', 'coins', 'start_date', 'end_date', 'interval']);
/** @type {Record<string, string>} */
const TERMS = {
  trader: t('Trader'),
  decide_every: t('Decides every'),
  initial_capital: t('Initial capital'),
  trade_fee_rate: t('Fee'),
  slippage_bps: t('Slippage (basis points)'),
  fill: t('Decisions fill at'),
  risk: t('Risk profile'),
  lot_rounding: t('Lot rounding'),
  liquidation: t('Liquidation'),
  funding: t('Funding'),
  warmup_bars: t('Warm-up bars'),
  source: t('Source'),
};

const chart = lineChart(byId('compare-chart'), { label: t('Account value over its start, in percent'), formatValue: percent, formatAxis: (value) => `${Math.round(value)}%` });

/** The runs that the address names, each once. @returns {number[]} */
function wanted() {
  const ids = (fromUrl('ids') ?? '').split(',').map(Number).filter((id) => Number.isInteger(id) && id > 0);
  return [...new Set(ids)].slice(0, MOST);
}

async function show() {
  const state = byId('compare-state');
  try {
    const [traders, all] = await Promise.all([get('/api/traders'), get('/api/backtests', { limit: MOST_CHOICES })]);
    const names = new Map(traders.map((/** @type {any} */ { key, name }) => [key, t(name)]));
    const runs = await Promise.all(wanted().map(readRun));
    const done = runs.filter((run) => run !== null && run.report);
    const left = wanted().filter((id) => !done.some((run) => run.id === id));
    replaceContent(state, ...left.map((id) => element('div', { class: 'notice notice-warn' }, t('Backtest %(id)s has no report and is left out.', { id }))));
    byId('compare').hidden = done.length === 0;
    if (done.length === 0) {
      const choose = element('a', { class: 'button button-primary', href: '/backtest' }, t('All backtests'));
      state.append(emptyState(t('Choose backtests to compare.'), choose));
    }
    showChoice(all.filter((/** @type {Run} */ { id, status }) => status === 'done' && !wanted().includes(id)), names);
    showChart(done, names);
    showFigures(done, names);
  } catch (error) {
    showFailure(state, error, show);
  }
}

/** @param {number} id @returns {Promise<any>} null where it has been deleted */
async function readRun(id) {
  try {
    return await get(`/api/backtests/${id}`);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** @param {number[]} ids */
const goTo = (ids) => location.assign(`/backtest/compare?ids=${ids.join(',')}`);

/**
 * @param {Run[]} others
 * @param {ReadonlyMap<string, string>} names
 */
function showChoice(others, names) {
  const choice = byId('compare-choice');
  choice.hidden = wanted().length >= MOST || others.length === 0;
  const labels = others.map((run) => element('option', { value: run.id }, `#${run.id} ${runName(run, names)} · ${runCoins(run)} · ${runRange(run)}`));
  const control = select({ '': t('Add a backtest…') });
  control.setAttribute('aria-label', t('Add a backtest…'));
  control.dataset['testid'] = 'compare-add';
  control.append(...labels);
  control.addEventListener('change', () => goTo([...wanted(), Number(control.value)]));
  replaceContent(choice, control);
}

/** @param {Run} run @param {ReadonlyMap<string, string>} names */
const title = (run, names) => `#${run.id} ${runName(run, names)}`;

/**
 * @param {Run[]} runs
 * @param {ReadonlyMap<string, string>} names
 */
function showChart(runs, names) {
  chart.update(
    runs.map((run) => {
      const report = /** @type {Record<string, any>} */ (run.report);
      const start = report['summary']['initial_capital'];
      const points = report['account_values'].map((/** @type {any} */ { timestamp, total_value: value }) => ({ timestamp, value: (value / start - 1) * 100 }));
      return { name: title(run, names), points };
    }),
  );
}

/**
 * @param {Run[]} runs
 * @param {ReadonlyMap<string, string>} names
 */
function showFigures(runs, names) {
  const head = runs.map((run) =>
    element(
      'th',
      { scope: 'col', class: 'number' },
      element('a', { href: `/backtest/${run.id}` }, title(run, names)),
      element('button', { type: 'button', class: 'link-button compare-leave-out', 'aria-label': t('Leave out backtest %(id)s', { id: run.id }), onclick: () => goTo(wanted().filter((id) => id !== run.id)) }, t('Leave out')),
    ),
  );
  const what = [
    textRow(t('Coins'), runs.map(runCoins)),
    textRow(t('Range'), runs.map(runRange)),
    textRow(t('Interval'), runs.map(({ config }) => config['interval'])),
  ];
  const rows = FIGURES.map((figure) => figureRow(figure, runs));
  const different = configRows(runs);
  replaceContent(
    byId('compare-figures'),
    element(
      'div',
      { class: 'table-scroll', tabindex: 0, role: 'group', 'aria-label': t('Figures side by side') },
      element(
        'table',
        { class: 'table table-pinned compare-table', 'aria-label': t('Figures side by side'), 'data-testid': 'compare-table' },
        element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, t('Figure')), ...head)),
        element('tbody', {}, ...what, ...rows, ...different),
      ),
    ),
  );
}

/**
 * @param {Figure} figure
 * @param {Run[]} runs
 */
function figureRow({ key, label, show: write, better }, runs) {
  const values = runs.map(({ report }) => report?.['summary'][key] ?? null);
  const known = values.filter(isNumber);
  const best = better && known.length > 1 && new Set(known).size > 1 ? Math.max(...known.map((value) => value * better)) * better : null;
  const cells = values.map((value) => element('td', { class: value !== null && value === best ? 'number compare-best' : 'number' }, write(value)));
  return element('tr', { 'data-testid': `compare-${key}` }, element('th', { scope: 'row' }, label), ...cells);
}

/** What the runs were run with, where they differ. @param {Run[]} runs */
function configRows(runs) {
  const terms = runs.map(({ config }) => ({ ...config, ...config['params'] }));
  const names = [...new Set(terms.flatMap((term) => Object.keys(term)))].filter((name) => !SAID_ABOVE.has(name));
  const text = (/** @type {unknown} */ value) => (value === null || value === undefined ? NOTHING : typeof value === 'object' ? JSON.stringify(value) : String(value));
  return names.flatMap((name) => {
    const values = terms.map((term) => text(/** @type {Record<string, unknown>} */ (term)[name]));
    if (new Set(values).size < 2) return [];
    return [textRow(TERMS[name] ?? t(paramTitle(name)), values)];
  });
}

/**
 * @param {string} label
 * @param {readonly string[]} values
 */
function textRow(label, values) {
  const cells = values.map((value) => element('td', { class: 'number', title: value }, value.length > 40 ? `${value.slice(0, 40)}…` : value));
  return element('tr', {}, element('th', { scope: 'row' }, label), ...cells);
}

await show();
