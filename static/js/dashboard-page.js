/** The Dashboard: every model at a glance, or one; live. */

import { accountValues } from './account-values.js';
import { get } from './api.js';
import { barChart } from './category-chart.js';
import { seriesToken } from './chart-theme.js';
import { decisionsTable } from './decisions.js';
import { distributionRing } from './distribution.js';
import { acceptInput, byId, element, replaceContent } from './element.js';
import { showFailure } from './failure.js';
import { firstSteps } from './first-steps.js';
import { t } from './i18n.js';
import { leaderboardTable } from './leaderboard.js';
import { listenForOrigins } from './origins.js';
import { linkMetrics, portfolioNow, showMetrics } from './portfolio.js';
import { positionsTable } from './positions.js';
import { fetchPrices, onPrices } from './prices.js';
import { onStreamResumed, subscribe } from './stream.js';
import { oncePerFrame, throttle } from './throttle.js';
import { offerTour } from './tour.js';
import { traderStory } from './trader-story.js';
import { tradesTable } from './trades.js';
import { fromUrl, toUrl } from './url-state.js';

const REFRESH_MS = 3_000;
const REFRESH_ANYWAY_MS = 60_000;
const AGES_MS = 5_000;
const RING_MS = 2_000;
const TRADES_SHOWN = 20;
const DECISIONS_SHOWN = 20;

/** @type {any[]} */
let models = [];
/** @type {import('./portfolio.js').Portfolio | null} */
let portfolio = null;
/** @type {number | null} */
let chosenModel = Number(fromUrl('model')) || null;

const picker = /** @type {HTMLSelectElement} */ (byId('model-picker'));
const positions = positionsTable(byId('positions'), {
  withModel: true,
  filter: byId('filter-positions'),
  exportButton: byId('export-positions'),
});
const trades = tradesTable(byId('trades'), {
  withModel: true,
  filter: byId('filter-trades'),
  exportButton: byId('export-trades'),
  most: TRADES_SHOWN,
});
const decisions = decisionsTable(byId('decisions'), {
  withModel: true,
  filter: byId('filter-decisions'),
  exportButton: byId('export-decisions'),
  most: DECISIONS_SHOWN,
});
const leaderboard = leaderboardTable(byId('leaderboard'), byId('export-leaderboard'));
const values = accountValues(byId('account-value'), {
  windowButtons: byId('account-value-window'),
  colorOf: (modelId) =>
    seriesToken(
      Math.max(
        0,
        models.findIndex(({ id }) => id === modelId),
      ),
    ),
});
/** @type {ReturnType<typeof distributionRing> | null} */
let ring = null;
/** @type {ReturnType<typeof barChart> | null} */
let bars = null;

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

async function loadModels() {
  models = await get('/api/models');
  if (!models.some(({ id }) => id === chosenModel)) chosenModel = null;
  const options = models.map(({ id, name }) => element('option', { value: id, selected: id === chosenModel }, name));
  replaceContent(picker, element('option', { value: '' }, t('All models')), ...options);
  const nobody = byId('no-models');
  nobody.hidden = models.length > 0;
  byId('model-choice').hidden = models.length === 0;
  byId('overview').hidden = models.length === 0;
  if (models.length === 0) replaceContent(nobody, ...firstSteps());
}

async function loadPortfolio() {
  const asked = chosenModel;
  const answer = await get(
    asked ? `/api/models/${asked}/portfolio` : '/api/aggregated/portfolio',
    asked ? { limit: 1 } : {},
  );
  if (asked !== chosenModel) return;
  portfolio = answer.portfolio;
  if (asked && portfolio) {
    const { name } = models.find(({ id }) => id === asked);
    portfolio.positions = portfolio.positions.map((position) => ({ ...position, model_id: asked, model_name: name }));
  }
  replaceContent(byId('overview-failure'));
  showPortfolio();
  showRing();
}

const showPortfolio = oncePerFrame(() => {
  if (!portfolio) return;
  const now = portfolioNow(portfolio);
  showMetrics(byId('metrics'), now);
  positions.update(now.positions);
});

const showRing = throttle(() => {
  if (!portfolio) return;
  const now = portfolioNow(portfolio);
  ring ??= distributionRing(byId('distribution'));
  ring.update(now);
  showCoinPerformance(now.positions);
}, RING_MS);

/** What the open positions in each coin have gained or lost, the best first. @param {import('./positions.js').Position[]} open */
function showCoinPerformance(open) {
  byId('performance-card').hidden = open.length === 0;
  /** @type {Map<string, number>} */
  const gains = new Map();
  for (const { coin, unrealized_pnl: gain } of open) gains.set(coin, (gains.get(coin) ?? 0) + gain);
  bars ??= barChart(byId('performance'), { label: t('Coin performance') });
  bars.update([...gains].sort(([, one], [, other]) => other - one).map(([name, value]) => ({ name, value })));
}

/**
 * Rows of the models that are shown.
 *
 * @param {string} route
 * @param {Record<string, string | number>} query
 * @param {{ replace: (rows: any[]) => void }} table
 */
async function loadLog(route, query, table) {
  const asked = chosenModel;
  const chosen = models.filter(({ id }) => asked === null || id === asked);
  const answers = await Promise.all(
    chosen.map(async ({ id, name }) => {
      const rows = await get(`/api/models/${id}/${route}`, query);
      return rows.map((/** @type {object} */ row) => ({ ...row, model_id: id, model_name: name }));
    }),
  );
  if (asked === chosenModel) table.replace(answers.flat());
}

const loadTrades = () => loadLog('trades', { limit: TRADES_SHOWN }, trades);
const loadDecisions = () => loadLog('conversations', { limit: DECISIONS_SHOWN, texts: 'false' }, decisions);

async function loadLeaderboard() {
  const standings = await get('/api/leaderboard');
  leaderboard.update(
    standings.map((/** @type {any} */ row) => ({
      ...row,
      trader_name: models.find(({ id }) => id === row.model_id)?.trader_name,
    })),
  );
}

function loadFigures() {
  if (models.length === 0) return; // none yet, though their events may come already
  shown('overview-failure', loadPortfolio);
  shown('leaderboard', loadLeaderboard);
}

/** Where the figures come from: of all models together, the leaderboard tells whose they are. */
function linkFigures() {
  const page = chosenModel === null ? null : `/models/${chosenModel}`;
  linkMetrics(byId('metrics'), {
    total_value: page ? `${page}#trades-title` : '#leaderboard-title',
    return_percentage: page ? `${page}#trades-title` : '#leaderboard-title',
    unrealized_pnl: '#positions-title',
    realized_pnl: page ? `${page}#trades-title` : '#trades-title',
    fees_paid: page ? `${page}#trades-title` : '#leaderboard-title',
    token_cost: page ? `${page}#calls-title` : '#leaderboard-title',
  });
}

/** How the chosen model decides. */
async function showStory() {
  const model = models.find(({ id }) => id === chosenModel);
  const story = model && traderStory(model, await get('/api/traders'));
  if (model?.id === chosenModel || !model) replaceContent(byId('model-story'), story ?? null);
}

async function loadChosen() {
  const link = /** @type {HTMLAnchorElement} */ (byId('model-link'));
  link.hidden = chosenModel === null;
  if (chosenModel !== null) link.href = `/models/${chosenModel}`;
  linkFigures();
  shown('model-story', showStory);
  values.load(chosenModel);
  loadFigures();
  await Promise.all([shown('trades', loadTrades), shown('decisions', loadDecisions)]);
}

async function start() {
  try {
    await loadModels();
    await Promise.all([loadChosen(), fetchPrices([...new Set(models.flatMap(({ coins }) => coins))])]);
  } catch (error) {
    byId('overview').hidden = models.length === 0;
    showFailure(byId('overview-failure'), error, start);
  }
}

picker.addEventListener('change', () => {
  chosenModel = Number(picker.value) || null;
  toUrl({ model: chosenModel });
  loadChosen();
});
onPrices(() => {
  showPortfolio();
  showRing();
});
const loadFiguresSoon = throttle(loadFigures, REFRESH_MS);
const loadDecisionsSoon = throttle(() => shown('decisions', loadDecisions), REFRESH_MS);
subscribe('trade', (trade) => {
  if (chosenModel === null || trade.model_id === chosenModel) trades.add([trade]);
  loadFiguresSoon();
});
subscribe('cycle', ({ status }) => {
  if (status === 'running') return;
  loadFiguresSoon();
  loadDecisionsSoon();
});
listenForOrigins();
onStreamResumed(start);
setInterval(() => {
  if (!document.hidden) loadFigures();
}, REFRESH_ANYWAY_MS);
setInterval(showPortfolio, AGES_MS); // prices grow old also when nothing comes
acceptInput();
start().then(offerTour);
