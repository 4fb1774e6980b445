/** The Charts page: one coin's candles, live at their end, with the trades of chosen models. */

import { get } from './api.js';
import { candleView } from './candle-view.js';
import { averageControls } from './chart-averages.js';
import { fetchLevels, fetchTrades, tradeColumns, tradeMarkers, tradeStory, withModel } from './chart-trades.js';
import { seriesToken } from './chart-theme.js';
import { coinCombobox } from './coin-combobox.js';
import { depthPanel } from './depth-panel.js';
import { acceptInput, byId, element, replaceContent, setText } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { directionClass, formatAge, formatPercent, formatPrice } from './format.js';
import { t } from './i18n.js';
import { BarWindow, intervalLength, INTERVALS } from './klines.js';
import { keepLive } from './live-bars.js';
import { markerTooltip } from './marker-tooltip.js';
import { fetchPrices, isStale, onPrices, priceNote, priceOf } from './prices.js';
import { onStreamResumed, subscribe } from './stream.js';
import { dataTable } from './table.js';
import { throttle } from './throttle.js';
import { toastError } from './toast.js';
import { fromUrl, toUrl } from './url-state.js';
import { sourceName } from './words.js';

/** @typedef {import('./chart-trades.js').Model} Model */
/** @typedef {import('./chart-trades.js').ModelTrade} ModelTrade */

const OLD_AFTER_SECONDS = 60;
const LEVELS_EVERY_MS = 60_000;

const message = byId('chart-message');
const tooltip = markerTooltip(byId('candle-chart').parentElement ?? document.body);
const view = candleView(byId('candle-chart'), message, {
  emptyText: (bars) => t('There are no candles of %(coin)s at %(interval)s.', { coin: bars.coin, interval: bars.interval }),
  onDraw: drawn,
  chart: { label: t('Candles'), onView: showLatestButton, onMarker: showTooltip },
});
const { chart } = view;
const live = keepLive(view, showOrigin);
const depth = depthPanel(byId('depth'));

let coin = '';
let interval = INTERVALS.has(fromUrl('interval') ?? '') ? String(fromUrl('interval')) : '1h';
/** @type {{ id: number, name: string, color: string }[]} */
let models = [];
/** @type {Set<number>} */
const chosen = new Set();
/** @type {ModelTrade[]} */
let trades = [];
/** @type {Map<string, ModelTrade[]>} */
let tradesOf = new Map();
let tradesWanted = 0;

const table = dataTable(byId('trades'), {
  label: t('Trades on this chart'),
  columns: tradeColumns(),
  keyOf: (/** @type {ModelTrade} */ { id }) => id,
  order: '-time',
  testId: 'chart-trades',
  exportButton: byId('export-trades'),
  fileName: 'trades',
  empty: () => emptyState(chosen.size ? t('The chosen models have not traded this coin.') : t('Choose a model above to see its trades.')),
});

async function start() {
  try {
    const [coins, allModels] = await Promise.all([get('/api/coins'), get('/api/models')]);
    if (!coins.length) return view.showMessage(emptyState(t('There are no active coins yet.')));
    const wanted = (fromUrl('coin') ?? '').toUpperCase();
    coin = coins.find((/** @type {any} */ { symbol }) => symbol === wanted)?.symbol ?? coins[0].symbol;
    coinCombobox(byId('coin-combobox'), { coins, chosen: coin, onChoose: chooseCoin });
    listModels(allModels);
  } catch (error) {
    message.hidden = false;
    return showFailure(message, error, start);
  }
  averageControls(byId('averages'), (averages) => chart.setAverages(averages));
  showInterval();
  depth.show(coin);
  await Promise.all([showCandles(), showTrades()]);
}

/** @param {Model[]} all */
function listModels(all) {
  models = all.map(({ id, name }, index) => ({ id, name, color: seriesToken(index) }));
  const fromAddress = fromUrl('models')?.split(',').map(Number);
  const first = models[0] ? [models[0].id] : [];
  for (const id of fromAddress ?? first) if (models.some((model) => model.id === id)) chosen.add(id);
  const chips = models.map(({ id, name, color }) => {
    const swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' });
    swatch.style.setProperty('--series-color', `var(${color})`);
    const attributes = { type: 'button', class: 'chip', 'aria-pressed': String(chosen.has(id)), 'data-testid': `chart-model-${id}` };
    const chip = element('button', attributes, swatch, name);
    chip.addEventListener('click', () => {
      if (!chosen.delete(id)) chosen.add(id);
      chip.setAttribute('aria-pressed', String(chosen.has(id)));
      toUrl({ models: [...chosen].join(',') });
      showTrades();
    });
    return chip;
  });
  replaceContent(byId('models'), ...(chips.length ? chips : [element('a', { href: '/models' }, t('Add a model'))]));
}

/** @param {string} symbol */
function chooseCoin(symbol) {
  coin = symbol;
  depth.show(coin);
  showCandles();
  showTrades();
}

byId('intervals').addEventListener('click', (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest('button');
  if (!button || button.value === interval) return;
  interval = button.value;
  showInterval();
  showCandles();
});

function showInterval() {
  for (const button of byId('intervals').querySelectorAll('button')) {
    const pressed = button.value === interval;
    button.setAttribute('aria-pressed', String(pressed));
    if (pressed) button.scrollIntoView({ block: 'nearest', inline: 'center' });
  }
}

async function showCandles() {
  toUrl({ coin, interval });
  document.title = `${coin} ${interval} · ${t('Charts')}`;
  chart.setLabel(
    t('%(coin)s candles of %(interval)s. Arrow keys move from bar to bar, with Shift they move the view, plus and minus zoom.', { coin, interval }),
  );
  tooltip.hide();
  const wanted = new BarWindow(coin, interval);
  view.showMessage(element('span', { class: 'muted' }, t('Loading candles…')));
  showPrice();
  fetchPrices([coin]).catch(() => {}); // stored candles are worth showing without; the status bar says so
  live.follow(coin, interval);
  await view.show(wanted, () => wanted.loadLatest(), showCandles);
}

function drawn() {
  drawMarkers();
  showOrigin();
  showPrice();
}

/** @param {boolean} newestInView */
function showLatestButton(newestInView) {
  byId('to-latest').hidden = newestInView && view.bars()?.reachesLast === true;
}

byId('to-latest').addEventListener('click', () => {
  if (view.bars()?.reachesLast) chart.showLatest();
  else showCandles();
});

onPrices((coins) => {
  if (coins.includes(coin)) showPrice();
});

function showPrice() {
  const price = priceOf(coin);
  setText(byId('price-value'), formatPrice(price?.price));
  byId('price-value').classList.toggle('stale', price !== undefined && isStale(price));
  const change = byId('price-change');
  setText(change, price ? formatPercent(price.change_24h) : '');
  change.className = directionClass(price?.change_24h);
  setText(byId('price-note'), priceNote(price));
}

function showOrigin() {
  const bars = view.bars();
  const origin = bars?.origin;
  const node = byId('chart-origin');
  node.hidden = !origin;
  if (!origin) return;
  const sinceReceipt = (performance.now() - origin.receivedAt) / 1000;
  // A newest bar younger than an interval is up to date: what ages is then only our copy of it.
  const upToDate = origin.ageSeconds !== null && origin.ageSeconds * 1000 < intervalLength(interval);
  const age = upToDate ? sinceReceipt : (origin.ageSeconds ?? NaN) + sinceReceipt;
  const stale = origin.stale || (bars?.reachesLast === true && sinceReceipt > OLD_AFTER_SECONDS);
  setText(node, [sourceName(origin.source), Number.isNaN(age) ? '' : formatAge(age), stale ? t('old') : ''].filter(Boolean).join(' · '));
  node.className = `badge charts-origin ${stale ? 'badge-warn' : 'badge-muted'}`;
  node.title = stale ? t('These candles are old: the source has not answered since.') : t('Source of the candles, and their age');
  byId('candle-chart').classList.toggle('candle-chart-stale', stale);
}

// Trades and positions of the chosen models.

const chosenModels = () => models.filter(({ id }) => chosen.has(id));

async function showTrades() {
  const wanted = ++tradesWanted;
  try {
    const lists = await Promise.all(chosenModels().map((model) => fetchTrades(model, coin, model.color)));
    if (wanted !== tradesWanted) return;
    trades = lists.flat().sort((one, other) => one.time - other.time);
    table.update(trades);
    drawMarkers();
    await showLevels();
  } catch (error) {
    if (wanted === tradesWanted) toastError(error);
  }
}

async function showLevels() {
  const wanted = tradesWanted;
  const levels = await fetchLevels(chosenModels().map((model) => ({ model, color: model.color })), coin);
  if (wanted === tradesWanted) chart.setLevels(levels);
}

function drawMarkers() {
  const first = view.bars()?.bars[0];
  if (!first) return;
  const drawn = tradeMarkers(trades, first.timestamp, intervalLength(interval), chosen.size > 1);
  tradesOf = drawn.tradesOf;
  chart.setMarkers(drawn.markers);
}

/**
 * @param {string | null} id
 * @param {{ x: number, y: number } | null} point
 */
function showTooltip(id, point) {
  const together = id === null ? undefined : tradesOf.get(id);
  if (together && point) tooltip.show(point, tradeStory(together));
  else tooltip.hide();
}

subscribe('trade', (row) => {
  const model = models.find(({ id }) => id === row.model_id);
  if (!model || !chosen.has(model.id) || row.coin !== coin || row.kind === 'funding') return;
  if (trades.some(({ id }) => id === row.id)) return;
  trades = [...trades, withModel(row, model, model.color)];
  table.update(trades);
  drawMarkers();
  refreshLevels();
});

const refreshLevels = throttle(() => {
  if (!document.hidden && chosen.size) showLevels().catch(toastError);
}, 2_000);

byId('trades').addEventListener('click', async (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest('[data-testid="go-to-trade"]');
  const key = /** @type {HTMLElement | null} */ (button?.closest('tr') ?? null)?.dataset['key'];
  const trade = trades.find(({ id }) => String(id) === key);
  const wanted = view.bars();
  if (!trade || !wanted) return;
  try {
    if (!wanted.holds(trade.time)) {
      await wanted.loadAround(trade.time);
      if (view.bars() === wanted) view.draw('keep');
    }
    chart.showTimes(trade.time, trade.time);
    byId('candle-chart').scrollIntoView({ block: 'nearest' });
  } catch (error) {
    toastError(error);
  }
});

setInterval(() => {
  showOrigin();
  showPrice();
}, 1_000);
setInterval(refreshLevels, LEVELS_EVERY_MS);
document.addEventListener('displaychange', () => table.update(trades));
onStreamResumed(showTrades);
acceptInput();
await start();
