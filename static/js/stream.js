/**
 * The page's one EventSource. Modules subscribe to topics; the connection opens with the first
 * subscription, comes back by itself, and says in which state it is.
 *
 * @typedef {'connecting' | 'live' | 'reconnecting'} StreamState
 */

const TOPICS = ['price', 'trade', 'account_value', 'backtest', 'cycle', 'health', 'data'];
/** Candles come only for the series that is named. */
const SERIES_TOPIC = 'kline';
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
/** Who looks through intervals does not mean each of them, and a page that opens names its own first. */
const SERIES_SETTLES_MS = 200;

/** @type {EventTarget} */
const hub = new EventTarget();
/** @type {EventSource | null} */
let source = null;
/** @type {StreamState} */
let state = 'connecting';
let retryMs = FIRST_RETRY_MS;
let retryTimer = 0;
/** To know what is told again after a reconnect. */
let lastEvent = '';
/** `coin:interval` of the candles that are asked for; empty for none. */
let series = '';
let seriesTimer = 0;

export const streamState = () => state;

/**
 * @param {string} topic
 * @param {(payload: any) => void} handler
 */
export function subscribe(topic, handler) {
  hub.addEventListener(topic, (event) => handler(/** @type {CustomEvent} */ (event).detail));
  if (!source && !retryTimer && !seriesTimer) seriesTimer = setTimeout(reopen, SERIES_SETTLES_MS);
}

/** Told of each change of state. @param {(state: StreamState) => void} handler */
export function onStreamState(handler) {
  hub.addEventListener('state', () => handler(state));
}

/** Told when events may have been missed, so that what is shown should be fetched again. @param {() => void} handler */
export function onStreamResumed(handler) {
  hub.addEventListener('resumed', handler);
}

/**
 * Asks for the candles of one series, in place of the one before, under the topic `kline`. For that
 * the connection is opened anew.
 *
 * @param {string} coin
 * @param {string} interval
 */
export function followSeries(coin, interval) {
  const wanted = `${coin}:${interval}`;
  if (series === wanted) return;
  series = wanted;
  clearTimeout(seriesTimer);
  seriesTimer = setTimeout(reopen, SERIES_SETTLES_MS);
}

function reopen() {
  seriesTimer = 0;
  if (retryTimer) return; // it will be asked for then
  const mayHaveMissed = source !== null || series !== '';
  source?.close();
  connect();
  if (mayHaveMissed) source?.addEventListener('open', () => hub.dispatchEvent(new Event('resumed')), { once: true });
}

function connect() {
  retryTimer = 0;
  const topics = series ? [...TOPICS, `${SERIES_TOPIC}:${series}`] : TOPICS;
  const connection = new EventSource(`/api/stream?topics=${encodeURIComponent(topics.join(','))}`);
  source = connection;
  connection.addEventListener('open', () => {
    retryMs = FIRST_RETRY_MS;
    const resumed = state === 'reconnecting';
    setState('live');
    if (resumed) hub.dispatchEvent(new Event('resumed'));
  });
  connection.addEventListener('error', () => {
    setState('reconnecting');
    // The browser retries a dropped connection itself, but gives up when the answer was an error.
    if (connection.readyState === EventSource.CLOSED) retryLater();
  });
  for (const topic of [...TOPICS, SERIES_TOPIC]) connection.addEventListener(topic, (event) => deliver(topic, event));
}

/**
 * @param {string} topic
 * @param {MessageEvent<string>} event
 */
function deliver(topic, event) {
  const told = `${event.lastEventId} ${topic} ${event.data}`;
  if (event.lastEventId && told === lastEvent) return; // replayed after a reconnect
  lastEvent = told;
  hub.dispatchEvent(new CustomEvent(topic, { detail: JSON.parse(event.data) }));
}

function retryLater() {
  if (retryTimer) return;
  retryTimer = setTimeout(connect, retryMs);
  retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
}

/** @param {StreamState} next */
function setState(next) {
  if (state === next) return;
  state = next;
  hub.dispatchEvent(new Event('state'));
}

// A page kept in the back-forward cache must not hold one of the browser's few connections.
window.addEventListener('pagehide', () => {
  source?.close();
  clearTimeout(retryTimer);
  clearTimeout(seriesTimer);
  retryTimer = seriesTimer = 0;
});
window.addEventListener('pageshow', (event) => {
  if (!event.persisted) return;
  setState('reconnecting');
  connect();
});
