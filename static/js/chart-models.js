/** The models whose trades and positions a chart shows: chosen, fetched, drawn, listed and kept live. */

import { fetchLevels, fetchTrades, tradeColumns, tradeMarkers, tradeStory, withModel } from './chart-trades.js';
import { seriesToken } from './chart-theme.js';
import { byId, element, replaceContent } from './element.js';
import { emptyState } from './failure.js';
import { t } from './i18n.js';
import { intervalLength } from './klines.js';
import { onStreamResumed, subscribe } from './stream.js';
import { dataTable } from './table.js';
import { throttle } from './throttle.js';
import { toastError } from './toast.js';
import { fromUrl, toUrl } from './url-state.js';

/** @typedef {import('./chart-trades.js').Model} Model */
/** @typedef {import('./chart-trades.js').ModelTrade} ModelTrade */
/** @typedef {Model & { color: string }} ColoredModel */

const LEVELS_AT_MOST_EVERY_MS = 2_000;
const LEVELS_EVERY_MS = 60_000;

/** @param {ReturnType<typeof import('./candle-view.js').candleView>} view whose candles they traded */
export function chartModels(view) {
  /** @type {ColoredModel[]} */
  let models = [];
  /** @type {Set<number>} */
  const chosen = new Set();
  let coin = '';
  /** @type {ModelTrade[]} */
  let trades = [];
  /** By the id of their marker. @type {Map<string, ModelTrade[]>} */
  let tradesOf = new Map();
  let wanted = 0;

  const table = dataTable(byId('trades'), {
    label: t('Trades on this chart'),
    columns: tradeColumns(),
    keyOf: (/** @type {ModelTrade} */ { id }) => id,
    order: '-time',
    testId: 'chart-trades',
    exportButton: byId('export-trades'),
    fileName: 'trades',
    empty: noTrades,
  });
  const chosenModels = () => models.filter(({ id }) => chosen.has(id));

  function noTrades() {
    if (!models.length) return emptyState(t('There are no models yet: their trades appear here.'), element('a', { href: '/models' }, t('Add a model')));
    return emptyState(chosen.size ? t('The chosen models have not traded this coin.') : t('Choose a model above to see its trades.'));
  }

  /** @param {Model[]} all */
  function list(all) {
    models = all.map(({ id, name }, index) => ({ id, name, color: seriesToken(index) }));
    const fromAddress = fromUrl('models')?.split(',').map(Number);
    const first = models[0] ? [models[0].id] : [];
    for (const id of fromAddress ?? first) if (models.some((model) => model.id === id)) chosen.add(id);
    const chips = models.map((model) => modelChip(model, chosen.has(model.id), () => toggle(model.id)));
    replaceContent(byId('models'), ...(chips.length ? chips : [element('a', { href: '/models' }, t('Add a model'))]));
  }

  /** @param {number} id @returns {boolean} whether it is chosen now */
  function toggle(id) {
    const isNew = !chosen.delete(id);
    if (isNew) chosen.add(id);
    toUrl({ models: [...chosen].join(',') });
    show(coin);
    return isNew;
  }

  /** The trades and positions of the chosen models on a coin. @param {string} symbol */
  async function show(symbol) {
    coin = symbol;
    const mine = ++wanted;
    try {
      const lists = await Promise.all(chosenModels().map((model) => fetchTrades(model, coin, model.color)));
      if (mine !== wanted) return;
      trades = lists.flat().sort((one, other) => one.time - other.time);
      table.update(trades);
      draw();
      await showLevels();
    } catch (error) {
      if (mine === wanted) toastError(error);
    }
  }

  async function showLevels() {
    const mine = wanted;
    const levels = await fetchLevels(chosenModels().map((model) => ({ model, color: model.color })), coin);
    if (mine === wanted) view.chart.setLevels(levels);
  }

  /** Their markers, on the bars of now. */
  function draw() {
    const bars = view.bars();
    const first = bars?.bars[0];
    if (!bars || !first) return;
    const drawn = tradeMarkers(trades, first.timestamp, intervalLength(bars.interval), chosen.size > 1);
    tradesOf = drawn.tradesOf;
    view.chart.setMarkers(drawn.markers);
  }

  const refreshLevels = throttle(() => {
    if (!document.hidden && chosen.size) showLevels().catch(toastError);
  }, LEVELS_AT_MOST_EVERY_MS);

  subscribe('trade', (row) => {
    const model = models.find(({ id }) => id === row.model_id);
    if (!model || !chosen.has(model.id) || row.coin !== coin || row.kind === 'funding') return;
    if (trades.some(({ id }) => id === row.id)) return;
    trades = [...trades, withModel(row, model, model.color)];
    table.update(trades);
    draw();
    refreshLevels();
  });

  byId('trades').addEventListener('click', async (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest('[data-testid="go-to-trade"]');
    const key = /** @type {HTMLElement | null} */ (button?.closest('tr') ?? null)?.dataset['key'];
    const trade = trades.find(({ id }) => String(id) === key);
    if (trade) await goTo(trade).catch(toastError);
  });

  /** @param {ModelTrade} trade */
  async function goTo({ time }) {
    const bars = view.bars();
    if (!bars) return;
    if (!bars.holds(time)) {
      await bars.loadAround(time);
      if (view.bars() === bars) view.draw('keep');
    }
    view.chart.showTimes(time, time);
    view.chart.plot.scrollIntoView({ block: 'nearest' });
  }

  setInterval(refreshLevels, LEVELS_EVERY_MS);
  document.addEventListener('displaychange', () => table.update(trades));
  onStreamResumed(() => show(coin));

  return {
    list,
    show,
    draw,
    /** @param {readonly string[]} ids of markers */
    story: (ids) => tradeStory(ids.flatMap((id) => tradesOf.get(id) ?? [])),
  };
}

/**
 * @param {ColoredModel} model
 * @param {boolean} isChosen
 * @param {() => boolean} toggle whether it is chosen then
 */
function modelChip({ id, name, color }, isChosen, toggle) {
  const swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' });
  swatch.style.setProperty('--series-color', `var(${color})`);
  const attributes = { type: 'button', class: 'chip', 'aria-pressed': String(isChosen), 'data-testid': `chart-model-${id}` };
  const chip = element('button', attributes, swatch, name);
  chip.addEventListener('click', () => chip.setAttribute('aria-pressed', String(toggle())));
  return chip;
}
