/** The Charts page: one coin's candles, live at their end, with all that one lays over and beside them. */

import { get } from './api.js';
import { candleView } from './candle-view.js';
import { compareCoins } from './chart-compare.js';
import { chartInWords } from './chart-in-words.js';
import { indicatorControls } from './chart-indicator-controls.js';
import { chartKeys, showKeys } from './chart-keys.js';
import { chartModels } from './chart-models.js';
import { chartTools } from './chart-tools.js';
import { coinCombobox } from './coin-combobox.js';
import { depthPanel } from './depth-panel.js';
import { acceptInput, byId, element, setText } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { directionClass, formatAge, formatPercent, formatPrice, formatTime, zoneName } from './format.js';
import { t } from './i18n.js';
import { BarWindow, intervalLength, INTERVALS } from './klines.js';
import { keepLive } from './live-bars.js';
import { fetchPrices, isStale, onPrices, priceNote, priceOf } from './prices.js';
import { fromUrl, toUrl } from './url-state.js';
import { sourceName } from './words.js';

const OLD_AFTER_SECONDS = 60;

const message = byId('chart-message');
const view = candleView(byId('candle-chart'), message, {
  emptyText: (bars) => t('There are no candles of %(coin)s at %(interval)s.', { coin: bars.coin, interval: bars.interval }),
  onDraw: drawn,
  onUpdate: () => words.update(),
  chart: { label: t('Candles'), onView: viewMoved, story: (ids) => models.story(ids) },
});
const { chart } = view;
const live = keepLive(view, showOrigin);
const depth = depthPanel(byId('depth'));
const models = chartModels(view);
const words = chartInWords(chart, byId('last-bars'), byId('last-bars-table'));
const tools = chartTools(chart, { caption: pictureCaption, onReset: showFirstView });
/** @type {ReturnType<typeof compareCoins> | null} */
let compare = null;

let coin = '';
let interval = INTERVALS.has(fromUrl('interval') ?? '') ? String(fromUrl('interval')) : '1h';

async function start() {
  try {
    const [coins, allModels] = await Promise.all([get('/api/coins'), get('/api/models')]);
    if (!coins.length) return view.showMessage(emptyState(t('There are no active coins yet.'), element('a', { href: '/coins' }, t('Add coins'))));
    const wanted = (fromUrl('coin') ?? '').toUpperCase();
    coin = coins.find((/** @type {any} */ { symbol }) => symbol === wanted)?.symbol ?? coins[0].symbol;
    coinCombobox(byId('coin-combobox'), { coins, chosen: coin, onChoose: chooseCoin });
    models.list(allModels);
    compare = compareCoins(byId('compare'), coins, view, tools.scale.compare);
  } catch (error) {
    message.hidden = false;
    return showFailure(message, error, start);
  }
  indicatorControls(byId('indicators'), (indicators) => chart.setIndicators(indicators));
  showInterval();
  depth.show(coin);
  await Promise.all([showCandles(), models.show(coin)]);
}

/** @param {string} symbol */
function chooseCoin(symbol) {
  coin = symbol;
  depth.show(coin);
  showCandles();
  models.show(coin);
}

/** @param {string} wanted */
function chooseInterval(wanted) {
  if (wanted === interval) return;
  interval = wanted;
  showInterval();
  showCandles();
}

byId('intervals').addEventListener('click', (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest('button');
  if (button) chooseInterval(button.value);
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
  chart.hideStory();
  const wanted = new BarWindow(coin, interval);
  view.showMessage(element('span', { class: 'muted' }, t('Loading candles…')));
  showPrice();
  fetchPrices([coin]).catch(() => {}); // stored candles are worth showing without; the status bar says so
  live.follow(coin, interval);
  compare?.show(coin, interval);
  await view.show(wanted, () => wanted.loadLatest(), showCandles);
}

function drawn() {
  models.draw();
  compare?.cover();
  showOrigin();
  showPrice();
  viewMoved();
}

function viewMoved() {
  byId('to-latest').hidden = chart.showsNewest() && view.bars()?.reachesLast === true;
  words.update();
}

function showFirstView() {
  if (view.bars()?.reachesLast) chart.showLatest();
  else showCandles();
}

byId('to-latest').addEventListener('click', showFirstView);
byId('show-keys').addEventListener('click', showKeys);

chartKeys(byId('chart-card'), byId('typed-interval'), {
  onInterval: chooseInterval,
  letters: {
    l: () => tools.scale.toggle('log'),
    p: () => tools.scale.toggle('percent'),
    r: tools.reset,
    f: tools.fullScreen.toggle,
    s: tools.savePicture,
    '?': showKeys,
    Escape: tools.fullScreen.leave,
  },
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

function pictureCaption() {
  const last = chart.barsInView().at(-1);
  const time = last ? formatTime(last.timestamp) : '';
  return {
    fileName: `${coin}-${interval}-${time.replaceAll(/[^\d]+/g, '-')}.png`,
    title: `${coin} · ${interval}`,
    values: chart.legendTexts(),
    notes: [`${time} ${zoneName()}`, sourceName(view.bars()?.origin?.source ?? ''), t('AI crypto trading')].filter(Boolean),
  };
}

setInterval(() => {
  showOrigin();
  showPrice();
}, 1_000);
acceptInput();
await start();
