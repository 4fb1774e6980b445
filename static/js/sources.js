/**
 * How the data sources do: asked for once for all parts of a page, anew when the stream says that
 * something has changed, and now and then.
 *
 * @typedef {'up' | 'down' | 'limited' | 'banned' | 'blocked' | 'quarantined' | 'unused'} SourceState
 *
 * @typedef {object} Budget
 * @property {string} name
 * @property {number} used
 * @property {number} limit
 * @property {number} window_seconds
 *
 * @typedef {object} SourceStream
 * @property {'up' | 'down' | 'silent' | 'off'} state
 * @property {string | null} last_message
 * @property {number} reconnects
 *
 * @typedef {object} Source
 * @property {string} name
 * @property {SourceState} state
 * @property {'closed' | 'open' | 'half_open'} breaker
 * @property {string | null} retry_at
 * @property {string | null} last_success
 * @property {string | null} last_error
 * @property {string | null} last_error_at
 * @property {string | null} last_error_code why, as a stable word
 * @property {number} error_rate 0 to 1, of the last five minutes
 * @property {{ p50: number, p99: number } | null} latency_ms
 * @property {Budget[]} budgets
 * @property {number} dropped_rows
 * @property {string[]} quarantined coins
 * @property {Record<string, number>} kinds the place in the order of asking, by kind of data; the first choice is 1
 * @property {SourceStream | null} stream
 */

import { ApiError, get } from './api.js';
import { onStreamResumed, subscribe } from './stream.js';
import { throttle } from './throttle.js';
import { sourceName } from './words.js';

const REFRESH_MS = 15_000;
const SOONEST_MS = 1_000;

/** @type {Source[] | null} null until the first answer, and while none comes */
let sources = null;
/** @type {Set<() => void>} */
const listeners = new Set();

/** In the order of the API; null while they are not known. */
export const knownSources = () => sources;

/** The source that is asked first for prices. */
export function preferredSource() {
  const priced = (sources ?? []).filter(({ kinds }) => kinds['price'] !== undefined);
  return priced.sort((one, other) => Number(one.kinds['price']) - Number(other.kinds['price']))[0];
}

/**
 * The name of a source that serves in another's place; empty for the one that is asked first.
 *
 * @param {string | null | undefined} name
 */
export function substitute(name) {
  const first = preferredSource();
  return first && name && name !== first.name ? sourceName(name) : '';
}

/** Told of each answer, and of its absence. @param {() => void} listener */
export function onSources(listener) {
  listeners.add(listener);
}

export const refreshSources = throttle(async () => {
  if (document.hidden) return;
  try {
    sources = await get('/api/sources');
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    sources = null;
  }
  for (const listener of listeners) listener();
}, SOONEST_MS);

subscribe('health', refreshSources);
onStreamResumed(refreshSources);
document.addEventListener('visibilitychange', refreshSources);
setInterval(refreshSources, REFRESH_MS);
refreshSources();
