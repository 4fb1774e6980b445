/** What every page has around it: the language switch, the display settings, the status bar. */

import { ApiError, get } from './api.js';
import { byId, setText } from './element.js';
import { formatAge, formatTime, isNumber, zoneName } from './format.js';
import { t } from './i18n.js';
import { PREFERENCES, preference, setPreference } from './preferences.js';
import { onStreamState, streamState, subscribe } from './stream.js';

const HEALTH_EVERY_MS = 15_000;
const A_YEAR_SECONDS = 31_536_000;

/** @typedef {'ok' | 'warn' | 'error' | 'unknown'} Light */

/** Market time is the exchange's: in a replayed market it is not the clock on the wall. */
let marketTimeMs = NaN;
/** @type {any} null until the first answer, and while none comes */
let health = null;
let unreachable = false;
let healthReceivedAt = 0;

function listenForLanguage() {
  const button = byId('language-switch');
  button.addEventListener('click', () => {
    document.cookie = `locale=${button.dataset['to']}; path=/; max-age=${A_YEAR_SECONDS}; samesite=lax`;
    location.reload();
  });
}

function listenForDisplay() {
  const menu = byId('display-menu');
  menu.addEventListener('click', (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest('button');
    const name = /** @type {HTMLElement | null} */ (button?.parentElement)?.dataset['preference'];
    if (button && name) setPreference(name, button.value);
  });
  document.addEventListener('displaychange', showDisplay);
  showDisplay();
}

function showDisplay() {
  for (const name of Object.keys(PREFERENCES)) {
    const buttons = document.querySelectorAll(`[data-preference="${name}"] button`);
    for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (buttons)) {
      button.setAttribute('aria-pressed', String(button.value === preference(name)));
    }
  }
  showMarketTime();
}

/**
 * @param {string} id
 * @param {Light} state
 * @param {string} text
 * @param {string} [title]
 */
function showStatus(id, state, text, title = '') {
  const node = byId(id);
  node.dataset['state'] = state;
  if (node.title !== title) node.title = title;
  const value = node.querySelector('.status-value');
  if (value) setText(value, text);
}

function showStream() {
  const state = streamState();
  if (state === 'live') showStatus('status-stream', 'ok', t('live'));
  else if (state === 'connecting') showStatus('status-stream', 'unknown', t('connecting'));
  else showStatus('status-stream', 'error', t('reconnecting'));
}

function showPrices() {
  if (!health) return showNoHealth('status-prices');
  const { prices } = health;
  if (!isNumber(prices?.age_seconds)) return showStatus('status-prices', 'error', t('none yet'));
  const age = prices.age_seconds + (performance.now() - healthReceivedAt) / 1000;
  const text = [prices.source, formatAge(age)].filter(Boolean).join(' · ');
  showStatus('status-prices', prices.stale ? 'warn' : 'ok', text, prices.stale ? t('These prices are old.') : '');
}

function showLoop() {
  if (!health) return showNoHealth('status-loop');
  const { running, next_cycle: next } = health.scheduler;
  if (!running) return showStatus('status-loop', 'warn', t('off'));
  const title = next ? t('Next cycle at %(time)s', { time: formatTime(next, 'full') }) : '';
  showStatus('status-loop', 'ok', t('running'), title);
}

/** @param {string} id */
function showNoHealth(id) {
  if (unreachable) showStatus(id, 'error', t('unreachable'));
  else showStatus(id, 'unknown', '…');
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
    health = await get('/api/health');
    healthReceivedAt = performance.now();
    unreachable = false;
    marketTimeIs(health.now);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    health = null;
    unreachable = true;
  }
  showPrices();
  showLoop();
}

/** @param {Record<string, { source: string, age_seconds: number, stale: boolean, timestamp?: string | number }>} update */
function pricesArrived(update) {
  const fresh = Object.values(update).filter(({ stale }) => !stale);
  const prices = mainSource(fresh.length ? fresh : Object.values(update));
  const newest = prices.sort((one, other) => one.age_seconds - other.age_seconds)[0];
  if (!newest) return;
  if (health) {
    health.prices = { source: newest.source, age_seconds: newest.age_seconds, stale: newest.stale };
    healthReceivedAt = performance.now();
    showPrices();
  }
  marketTimeIs(newest.timestamp);
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

// On a narrow screen not all pages' names fit.
document.querySelector('.nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
listenForLanguage();
listenForDisplay();
showStream();
onStreamState(showStream);
subscribe('price', pricesArrived);
fetchHealth();
setInterval(fetchHealth, HEALTH_EVERY_MS);
setInterval(showPrices, 1_000);
document.addEventListener('visibilitychange', fetchHealth);
