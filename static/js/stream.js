/**
 * The page's one EventSource. Modules subscribe to topics; the connection opens with the first
 * subscription, comes back by itself, and says in which state it is.
 *
 * @typedef {'connecting' | 'live' | 'reconnecting'} StreamState
 */

const TOPICS = ['price', 'trade', 'account_value', 'backtest', 'cycle'];
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/** @type {EventTarget} */
const hub = new EventTarget();
/** @type {EventSource | null} */
let source = null;
/** @type {StreamState} */
let state = 'connecting';
let retryMs = FIRST_RETRY_MS;
let retryTimer = 0;
let lastEventId = '';

export const streamState = () => state;

/**
 * @param {string} topic
 * @param {(payload: any) => void} handler
 */
export function subscribe(topic, handler) {
  hub.addEventListener(topic, (event) => handler(/** @type {CustomEvent} */ (event).detail));
  if (!source && !retryTimer) connect();
}

/** Told of each change of state. @param {(state: StreamState) => void} handler */
export function onStreamState(handler) {
  hub.addEventListener('state', () => handler(state));
}

/** Told when events may have been missed, so that what is shown should be fetched again. @param {() => void} handler */
export function onStreamResumed(handler) {
  hub.addEventListener('resumed', handler);
}

function connect() {
  retryTimer = 0;
  const connection = new EventSource(`/api/stream?topics=${TOPICS.join(',')}`);
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
  for (const topic of TOPICS) connection.addEventListener(topic, (event) => deliver(topic, event));
}

/**
 * @param {string} topic
 * @param {MessageEvent<string>} event
 */
function deliver(topic, event) {
  if (event.lastEventId && event.lastEventId === lastEventId) return; // replayed after a reconnect
  lastEventId = event.lastEventId;
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
  retryTimer = 0;
});
window.addEventListener('pageshow', (event) => {
  if (!event.persisted) return;
  setState('reconnecting');
  connect();
});
