/** The page of one model: its account, what it holds, what it traded and what it decided; live. */

import { accountValues } from './account-values.js';
import { ApiError, get } from './api.js';
import { callsTable } from './calls-table.js';
import { openCall, openCycle } from './decision-dialog.js';
import { decisionsTable } from './decisions.js';
import { acceptInput, byId, element, replaceContent, setText } from './element.js';
import { errorText } from './error-words.js';
import { emptyState, showFailure } from './failure.js';
import { formatTime } from './format.js';
import { t } from './i18n.js';
import { MODEL_ACTIONS } from './model-actions.js';
import { editModel } from './model-form.js';
import { showPromptEditor } from './model-prompt.js';
import { settingsList } from './model-settings.js';
import { isHeldBack, lossNotice, stateWords } from './model-state.js';
import { listenForOrigins } from './origins.js';
import { linkMetrics, portfolioNow, showMetrics } from './portfolio.js';
import { positionsTable } from './positions.js';
import { fetchPrices, onPrices } from './prices.js';
import { onStreamResumed, subscribe } from './stream.js';
import { oncePerFrame, throttle } from './throttle.js';
import { toastError } from './toast.js';
import { tradesTable } from './trades.js';

const REFRESH_MS = 2_000;
const REFRESH_ANYWAY_MS = 60_000;
const AGES_MS = 5_000;
const ROWS_A_PAGE = 50;
const MOST_PAGES_FOR_A_TRADE = 20;

const modelId = Number(byId('model').dataset['modelId']);
const path = `/api/models/${modelId}`;

/** @type {any} */
let model = null;
/** @type {any[]} */
let traders = [];
/** @type {import('./portfolio.js').Portfolio | null} */
let portfolio = null;

const positions = positionsTable(byId('positions'), {
  withModel: false,
  filter: byId('filter-positions'),
  exportButton: byId('export-positions'),
});
const trades = tradesTable(byId('trades'), {
  withModel: false,
  filter: byId('filter-trades'),
  exportButton: byId('export-trades'),
  emptyAction: runButton,
});
const decisions = decisionsTable(byId('decisions'), {
  withModel: false,
  filter: byId('filter-decisions'),
  exportButton: byId('export-decisions'),
  emptyAction: runButton,
});
const calls = callsTable(byId('calls'), {
  filter: byId('filter-calls'),
  exportButton: byId('export-calls'),
  emptyAction: runButton,
});
/** @typedef {'trades' | 'decisions' | 'calls'} Log */
const LOGS = { trades, decisions, calls };
/** @type {Record<Log, string>} */
const LOG_ROUTES = { trades: 'trades', decisions: 'conversations', calls: 'calls' };
/** The same as the one at the top of the page. */
function runButton() {
  return element('button', { type: 'button', class: 'button', onclick: () => byId('run').click() }, t('Run now'));
}

/** Where the figures come from. */
const SECTIONS_OF_METRICS = {
  total_value: '#trades-title',
  return_percentage: '#trades-title',
  unrealized_pnl: '#positions-title',
  realized_pnl: '#trades-title',
  fees_paid: '#trades-title',
  margin_used: '#positions-title',
};
const values = accountValues(byId('account-value'), {
  windowButtons: byId('account-value-window'),
  colorOf: () => '--series-1',
  drawdown: true,
});

/**
 * Runs one part of the page; where it fails, it says so in its own place.
 *
 * @param {string} id of the place
 * @param {() => Promise<void>} part
 */
async function shown(id, part) {
  try {
    await part();
  } catch (error) {
    showFailure(byId(id), error, start);
  }
}

async function loadModel() {
  [model, traders] = await Promise.all([get(path), traders.length ? traders : get('/api/traders')]);
  showModel();
}

function showModel() {
  if (!model) return;
  const { name, trader, trader_name, enabled, coins, interval, last_cycle: cycle } = model;
  document.title = `${name} · ${t('AI crypto trading')}`;
  setText(byId('model-name'), name);
  setText(byId('model-subtitle'), [t(trader_name), interval, coins.join(' ')].join(' · '));
  const state = byId('model-state');
  state.hidden = false;
  const [stateText, stateClass] = stateWords(model);
  state.className = `badge ${stateClass}`;
  setText(state, stateText);
  byId('pause').hidden = !enabled || model.replica_of !== null;
  byId('resume').hidden = (enabled && !isHeldBack(model)) || model.replica_of !== null;
  byId('model-actions').hidden = false;
  for (const id of ['run', 'edit', 'archive']) byId(id).hidden = model.replica_of !== null;
  byId('flatten').hidden = model.open_positions === 0;
  replaceContent(byId('settings'), settingsList(model, traders.find(({ key }) => key === trader)));
  replaceContent(byId('loss-notice'), lossNotice(model));
  const usesLlm = trader === 'ai';
  byId('calls-card').hidden = !usesLlm;
  const ownsPrompt = usesLlm && model.replica_of === null;
  byId('prompt-card').hidden = !ownsPrompt;
  if (ownsPrompt) showPromptEditor(model, loadFigures);
  replaceContent(byId('cycle-failure'), cycle?.error ? cycleNotice(cycle) : null);
}

/** @param {any} cycle */
function cycleNotice({ started_at, error, code }) {
  const what = t('The cycle of %(time)s failed:', { time: formatTime(started_at, 'minute') });
  return element(
    'div',
    { class: 'notice notice-error', role: 'status', 'data-testid': 'cycle-error' },
    element('strong', {}, what),
    errorText(code, error),
  );
}

async function loadPortfolio() {
  const answer = await get(`${path}/portfolio`, { limit: 1 });
  portfolio = answer.portfolio;
  replaceContent(byId('overview-failure'));
  showPortfolio();
}

const showPortfolio = oncePerFrame(() => {
  if (!portfolio) return;
  const now = portfolioNow(portfolio);
  showMetrics(byId('metrics'), now);
  positions.update(now.positions);
});

/**
 * @param {Log} name
 * @param {number} [before] an id: those older than it
 */
async function loadRows(name, before) {
  const texts = name === 'decisions' ? 'false' : null; // opened, a decision brings its own
  const rows = await get(`${path}/${LOG_ROUTES[name]}`, { limit: ROWS_A_PAGE, before, texts });
  LOGS[name].add(rows);
  if (rows.length < ROWS_A_PAGE) seenAll.add(name);
  byId(`${name}-footer`).hidden = seenAll.has(name);
}

/** @type {Set<string>} the tables of which the oldest row is shown */
const seenAll = new Set();

/** A trade stands out in its table and comes into view, if it is not too old. @param {number} id */
async function showTrade(id) {
  for (let page = 0; page < MOST_PAGES_FOR_A_TRADE; page += 1) {
    const row = trades.mark(id);
    if (row) return row.scrollIntoView({ block: 'center' });
    if (seenAll.has('trades')) return;
    await loadRows('trades', trades.oldest()?.id);
  }
}

/** @param {Log} name */
function listenForOlder(name) {
  byId(`older-${name}`).addEventListener('click', async () => {
    try {
      await loadRows(name, LOGS[name].oldest()?.id);
    } catch (error) {
      toastError(error);
    }
  });
}

function loadFigures() {
  return Promise.all([
    shown('overview-failure', loadModel),
    shown('overview-failure', loadPortfolio),
    shown('trades', () => loadRows('trades')),
    shown('decisions', () => loadRows('decisions')),
    model?.trader === 'ai' ? shown('calls', () => loadRows('calls')) : null,
  ]);
}

async function start() {
  try {
    await loadModel();
    byId('overview').hidden = false;
    linkMetrics(byId('metrics'), {
      ...SECTIONS_OF_METRICS,
      token_cost: model.trader === 'ai' ? '#calls-title' : null,
    });
    values.load(modelId);
    loadFigures().then(goToSection);
    await fetchPrices(model.coins);
  } catch (error) {
    byId('overview').hidden = model === null;
    if (error instanceof ApiError && error.status === 404) showNoModel(error.message);
    else showFailure(byId('overview-failure'), error, start);
  }
}

/** The section that the address names, which is in its place only now. */
function goToSection() {
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

/** @param {string} message */
function showNoModel(message) {
  const link = element('a', { class: 'button button-primary', href: '/models' }, t('All models'));
  replaceContent(byId('overview-failure'), element('div', { class: 'card' }, emptyState(message, link)));
}

async function edit() {
  try {
    if (await editModel(model)) await start();
  } catch (error) {
    toastError(error);
  }
}

byId('model').addEventListener('click', async (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest('button');
  const key = button?.dataset['action'];
  if (!button || !key || !model) return;
  if (key === 'edit') return edit();
  button.disabled = true;
  button.setAttribute('aria-busy', 'true');
  const done = await MODEL_ACTIONS[key]?.(model);
  button.disabled = false;
  button.removeAttribute('aria-busy');
  if (done && key === 'archive') location.assign('/models');
  else loadFigures();
});

listenForOrigins(
  { cycle: (id) => openCycle(modelId, id), call: (id) => openCall(modelId, id) },
  (kind, id) => {
    if (kind === 'trade') shown('trades', () => showTrade(id));
  },
);
listenForOlder('trades');
listenForOlder('decisions');
listenForOlder('calls');
document.addEventListener('displaychange', showModel);
onPrices(showPortfolio);
const loadFiguresSoon = throttle(loadFigures, REFRESH_MS);
subscribe('trade', (trade) => {
  if (trade.model_id !== modelId) return;
  trades.add([trade]);
  loadFiguresSoon();
});
subscribe('cycle', ({ model_id }) => {
  if (model_id === modelId) loadFiguresSoon();
});
onStreamResumed(start);
setInterval(() => {
  if (!document.hidden) loadFigures();
}, REFRESH_ANYWAY_MS);
setInterval(showPortfolio, AGES_MS); // prices grow old also when nothing comes
acceptInput();
start();
