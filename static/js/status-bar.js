/** The status bar of every page: prices, sources, streams, the trading loop, the kill switch, market time. */

import { ApiError, signInAgain } from './api.js';
import { byId, element, replaceContent, setText } from './element.js';
import { formatAge, formatTime, isNumber, zoneName } from './format.js';
import { getHealth, whyNoTrading } from './health.js';
import { t } from './i18n.js';
import { killSwitchStands, startKillSwitch } from './kill-switch.js';
import { OLD_AFTER_SECONDS } from './prices.js';
import { sourceLight, sourceState, sourceStory, streamState as venueStream } from './source-words.js';
import { knownSources, onSources, preferredSource } from './sources.js';
import { onStreamState, streamState, subscribe } from './stream.js';
import { throttle } from './throttle.js';
import { sourceName } from './words.js';

/** @typedef {import('./source-words.js').Light} Light */

const HEALTH_EVERY_MS = 15_000;
const SOONEST_MS = 1_000;
/** Prices that came by the stream say more than health does, which knows but the newest of them. */
const STREAMED_FOR_MS = 5_000;

/** Market time is the exchange's: in a replayed market it is not the clock on the wall. */
let marketTimeMs = NaN;
/** @type {any} null until the first answer, and while none comes */
let health = null;
let unreachable = false;
/** @type {{ source: string | null, age_seconds: number | null, stale: boolean } | null} */
let prices = null;
let pricesReceivedAt = -Infinity;
/** A light a source, in the order of the API. @type {Map<string, HTMLElement>} */
const lights = new Map();

/**
 * @param {HTMLElement} node
 * @param {Light} state
 * @param {string} text
 * @param {string} [title]
 */
function show(node, state, text, title = '') {
  node.dataset['state'] = state;
  if (node.title !== title) node.title = title;
  const value = node.querySelector('.status-value');
  if (value) setText(value, text);
}

function showStream() {
  const node = byId('status-stream');
  const state = streamState();
  const title = t('Events from the server to this page');
  if (state === 'live') show(node, 'ok', t('live'), title);
  else if (state === 'connecting') show(node, 'unknown', t('connecting'), title);
  else show(node, 'error', t('reconnecting'), title);
}

function showPrices() {
  const node = byId('status-prices');
  if (!health) return showNoHealth(node);
  if (!prices || !isNumber(prices.age_seconds)) return show(node, 'error', t('none yet'));
  const age = prices.age_seconds + (performance.now() - pricesReceivedAt) / 1000;
  const served = sourceName(prices.source ?? '');
  const text = [served, formatAge(age)].filter(Boolean).join(' · ');
  const first = preferredSource();
  if (prices.stale || age > OLD_AFTER_SECONDS) return show(node, 'error', text, t('These prices are old.'));
  if (!first || first.name === prices.source || first.state === 'up') return show(node, 'ok', text);
  const names = { first: sourceName(first.name), served };
  show(node, 'warn', text, t('%(first)s does not serve: prices come from %(served)s.', names));
}

function showSources() {
  const sources = knownSources() ?? [];
  const container = byId('status-sources');
  container.hidden = sources.length === 0;
  if (sources.some(({ name }) => !lights.has(name))) {
    lights.clear();
    for (const { name } of sources) lights.set(name, sourceNode(name));
    replaceContent(container, ...lights.values());
  }
  for (const source of sources) {
    const node = lights.get(source.name);
    const isUp = source.state === 'up';
    const lame = isUp && ['down', 'silent'].includes(source.stream?.state ?? '');
    if (node) show(node, lame ? 'warn' : sourceLight(source), lame ? streamNote(source) : sourceState(source), sourceStory(source));
  }
  showPrices();
}

/** @param {import('./sources.js').Source} source */
const streamNote = (source) => t('stream: %(state)s', { state: venueStream(source)[1] });

/** @param {string} name */
function sourceNode(name) {
  return element(
    'span',
    { class: 'status light status-source', 'data-testid': `status-source-${name}` },
    element('span', { class: 'status-name' }, sourceName(name)),
    ' ',
    element('span', { class: 'status-value' }),
  );
}

function showLoop() {
  const node = byId('status-loop');
  if (!health) return showNoHealth(node);
  const { running, next_cycle: next } = health.scheduler;
  const { holder = null, mine = running } = health.loop ?? {};
  if (health.trading?.halted) return show(node, 'warn', t('halted'), t('No model trades until trading is resumed.'));
  if (health.status === 'unable') return show(node, 'error', t('cannot trade'), whyNoTrading(health.reasons));
  if (holder !== null && !mine) return show(node, 'ok', t('elsewhere'), t('It runs in another process: %(holder)s', { holder }));
  if (!running) return show(node, 'warn', t('off'));
  const title = [next ? t('Next cycle at %(time)s', { time: formatTime(next, 'full') }) : '', holder ?? ''];
  show(node, 'ok', t('running'), title.filter(Boolean).join(' · '));
}

function showHalt() {
  const { halted = false, since = null, by = null } = health?.trading ?? {};
  const node = byId('status-halt');
  node.hidden = !halted;
  const told = [since ? formatTime(since, 'full') : '', by ?? ''].filter(Boolean).join(' · ');
  if (node.title !== told) node.title = told;
  if (health) killSwitchStands(halted);
}

/** @param {HTMLElement} node */
function showNoHealth(node) {
  if (unreachable) show(node, 'error', t('unreachable'));
  else show(node, 'unknown', '…');
}

function showMarketTime() {
  if (!isNumber(marketTimeMs)) return;
  byId('market-time').setAttribute('datetime', new Date(marketTimeMs).toISOString());
  setText(byId('market-date'), formatTime(marketTimeMs, 'date'));
  setText(byId('market-clock'), formatTime(marketTimeMs, 'seconds'));
  setText(byId('market-zone'), zoneName());
}

/** @param {unknown} time ISO 8601 or milliseconds; never goes back */
function marketTimeIs(time) {
  const milliseconds = typeof time === 'string' ? Date.parse(time) : Number(time);
  if (!isNumber(milliseconds) || milliseconds <= marketTimeMs) return;
  marketTimeMs = milliseconds;
  showMarketTime();
}

async function fetchHealth() {
  if (document.hidden) return;
  try {
    const answer = await getHealth();
    if (!answer.scheduler) return signInAgain(); // others than the owner are told the status alone
    health = answer;
    if (performance.now() - pricesReceivedAt > STREAMED_FOR_MS) pricesAre(health.prices);
    unreachable = false;
    marketTimeIs(health.now);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    health = null;
    unreachable = true;
  }
  showPrices();
  showLoop();
  showHalt();
}

/** @param {Record<string, { source: string, age_seconds: number, stale: boolean, timestamp?: string | number }>} update */
function pricesArrived(update) {
  const fresh = Object.values(update).filter(({ stale }) => !stale);
  const ofOne = mainSource(fresh.length ? fresh : Object.values(update));
  const newest = ofOne.sort((one, other) => one.age_seconds - other.age_seconds)[0];
  if (!newest) return;
  pricesAre(newest);
  showPrices();
  marketTimeIs(newest.timestamp);
}

/** @param {NonNullable<typeof prices>} current */
function pricesAre(current) {
  prices = current;
  pricesReceivedAt = performance.now();
}

/**
 * The prices of the source that most of them are from: a few coins come from elsewhere.
 *
 * @template {{ source: string }} Price
 * @param {Price[]} prices
 */
function mainSource(prices) {
  /** @type {Map<string, Price[]>} */
  const bySource = new Map();
  for (const price of prices) bySource.set(price.source, [...(bySource.get(price.source) ?? []), price]);
  return [...bySource.values()].sort((some, others) => others.length - some.length)[0] ?? [];
}

/** Fills the bar and keeps it up to date. */
export function startStatusBar() {
  const refresh = throttle(fetchHealth, SOONEST_MS);
  showStream();
  onStreamState(showStream);
  onSources(showSources);
  subscribe('price', pricesArrived);
  subscribe('health', refresh);
  startKillSwitch(refresh);
  refresh();
  setInterval(refresh, HEALTH_EVERY_MS);
  setInterval(showPrices, 1_000);
  document.addEventListener('visibilitychange', refresh);
  document.addEventListener('displaychange', showMarketTime);
}
