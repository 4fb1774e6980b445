/** The page of one model: its account, what it holds, what it traded and what it decided; live. */

import { accountValues } from './account-values.js';
import { ApiError, get } from './api.js';
import { decisionsTable } from './decisions.js';
import { acceptInput, byId, element, replaceContent, setText } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { formatMoney, formatNumber, formatTime } from './format.js';
import { t } from './i18n.js';
import { MODEL_ACTIONS } from './model-actions.js';
import { editModel } from './model-form.js';
import { portfolioNow, showMetrics } from './portfolio.js';
import { positionsTable } from './positions.js';
import { fetchPrices, onPrices } from './prices.js';
import { onStreamResumed, subscribe } from './stream.js';
import { oncePerFrame, throttle } from './throttle.js';
import { toastError } from './toast.js';
import { tradesTable } from './trades.js';
import { word } from './words.js';

const REFRESH_MS = 2_000;
const REFRESH_ANYWAY_MS = 60_000;
const AGES_MS = 5_000;
const ROWS_A_PAGE = 50;

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
});
const decisions = decisionsTable(byId('decisions'), byId('filter-decisions'), byId('export-decisions'));
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
  const { name, trader_name, enabled, coins, interval, last_cycle: cycle } = model;
  document.title = `${name} · ${t('AI crypto trading')}`;
  setText(byId('model-name'), name);
  setText(byId('model-subtitle'), [t(trader_name), interval, coins.join(' ')].join(' · '));
  const state = byId('model-state');
  state.hidden = false;
  state.className = `badge ${enabled ? 'badge-ok' : 'badge-muted'}`;
  setText(state, enabled ? t('Active') : t('Paused'));
  byId('pause').hidden = !enabled;
  byId('resume').hidden = enabled;
  byId('model-actions').hidden = false;
  byId('flatten').hidden = model.open_positions === 0;
  replaceContent(byId('settings'), settingsList());
  replaceContent(byId('cycle-failure'), cycle?.error ? cycleNotice(cycle) : null);
}

/** @param {any} cycle */
function cycleNotice({ started_at, error }) {
  const what = t('The cycle of %(time)s failed:', { time: formatTime(started_at, 'minute') });
  return element(
    'div',
    { class: 'notice notice-error', role: 'status', 'data-testid': 'cycle-error' },
    element('strong', {}, what),
    error,
  );
}

function settingsList() {
  const {
    trader,
    trader_name,
    params,
    interval,
    cycle_minutes,
    risk,
    initial_capital,
    coins,
    created_at,
    last_cycle: cycle,
  } = model;
  /** @type {Record<string, any>} */
  const properties = traders.find(({ key }) => key === trader)?.params_schema.properties ?? {};
  /** @type {[string, import('./element.js').Child][]} */
  const rows = [
    [t('Trader'), t(trader_name)],
    ...Object.entries(properties).map(
      ([name, { title, default: usual }]) =>
        /** @type {[string, string]} */ ([t(title), paramText(params[name] ?? usual)]),
    ),
    [
      t('Coins'),
      element(
        'span',
        { class: 'chips' },
        ...coins.map((/** @type {string} */ coin) => element('span', { class: 'chip' }, coin)),
      ),
    ],
    [t('Candle interval'), interval],
    [t('Cycle'), t('%(count)s min', { count: formatNumber(cycle_minutes) })],
    [t('Risk profile'), word(risk)],
    [t('Initial capital'), formatMoney(initial_capital)],
    [
      t('Last cycle'),
      cycle ? `${word(cycle.status)} · ${formatTime(cycle.finished_at ?? cycle.started_at, 'minute')}` : t('none yet'),
    ],
    [t('Created'), formatTime(created_at, 'minute')],
  ];
  return element(
    'dl',
    { class: 'details' },
    ...rows.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]),
  );
}

/** @param {unknown} value */
function paramText(value) {
  if (typeof value === 'boolean') return value ? t('yes') : t('no');
  if (Array.isArray(value)) return t('%(count)s entries', { count: formatNumber(value.length) });
  return value !== null && typeof value === 'object' ? JSON.stringify(value) : t(String(value));
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
 * @param {'trades' | 'decisions'} name
 * @param {number} [before] an id: those older than it
 */
async function loadRows(name, before) {
  const route = name === 'trades' ? 'trades' : 'conversations';
  const rows = await get(`${path}/${route}`, { limit: ROWS_A_PAGE, before });
  (name === 'trades' ? trades : decisions).add(rows);
  if (rows.length < ROWS_A_PAGE) seenAll.add(name);
  byId(`${name}-footer`).hidden = seenAll.has(name);
}

/** @type {Set<string>} the tables of which the oldest row is shown */
const seenAll = new Set();

/** @param {'trades' | 'decisions'} name */
function listenForOlder(name) {
  byId(`older-${name}`).addEventListener('click', async () => {
    try {
      await loadRows(name, (name === 'trades' ? trades : decisions).oldest()?.id);
    } catch (error) {
      toastError(error);
    }
  });
}

function loadFigures() {
  shown('overview-failure', loadModel);
  shown('overview-failure', loadPortfolio);
  shown('trades', () => loadRows('trades'));
  shown('decisions', () => loadRows('decisions'));
}

async function start() {
  try {
    await loadModel();
    byId('overview').hidden = false;
    values.load(modelId);
    loadFigures();
    await fetchPrices(model.coins);
  } catch (error) {
    byId('overview').hidden = model === null;
    if (error instanceof ApiError && error.status === 404) showNoModel(error.message);
    else showFailure(byId('overview-failure'), error, start);
  }
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

listenForOlder('trades');
listenForOlder('decisions');
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
