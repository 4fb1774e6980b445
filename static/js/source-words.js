/** How a data source does, in words and as a light. */

import { formatAge, formatNumber } from './format.js';
import { locale, t } from './i18n.js';
import { sourceName } from './words.js';

/** @typedef {import('./sources.js').Source} Source */
/** @typedef {'ok' | 'warn' | 'error' | 'unknown'} Light */

/** @type {Record<Source['state'], [light: Light, word: string]>} */
const STATES = {
  up: ['ok', t('Up')],
  limited: ['warn', t('At its rate limit')],
  quarantined: ['warn', t('In quarantine')],
  down: ['error', t('Down')],
  banned: ['error', t('Banned for a while')],
  blocked: ['error', t('Blocked from here')],
  unused: ['unknown', t('Not asked yet')],
};

/** @type {Record<Source['breaker'], string>} */
const BREAKERS = {
  closed: t('Closed: it is asked'),
  open: t('Open: it is passed over'),
  half_open: t('Half open: one try decides'),
};

/** @type {Record<NonNullable<Source['stream']>['state'], [light: Light, word: string]>} */
const STREAMS = {
  up: ['ok', t('Up')],
  silent: ['warn', t('Silent')],
  down: ['error', t('Down')],
  off: ['unknown', t('Off')],
};

/** Why a source fails, by the code of its error. @type {Record<string, string>} */
const REASONS = {
  source_unavailable: t('It does not answer, or is out of order.'),
  source_rate_limited: t('It asks for fewer questions.'),
  source_banned: t('It has banned this address for a while.'),
  geo_blocked: t('It does not serve this place.'),
  source_bad_answer: t('Its answers are not sound.'),
  source_refused: t('It refuses the questions.'),
  bad_key: t('It refuses the API key.'),
};

/**
 * Why a source fails: its own sentence, which is in English, or words for it in the page's language.
 *
 * @param {string | null | undefined} code
 * @param {string} said
 */
export const failureText = (code, said) => (locale === 'en' ? said : (REASONS[code ?? ''] ?? said));

/** @param {Source} source @returns {Light} */
export const sourceLight = ({ state }) => STATES[state]?.[0] ?? 'unknown';

/** @param {Source} source */
export const sourceState = ({ state }) => STATES[state]?.[1] ?? state;

/** @param {Source} source */
export const breakerWord = ({ breaker }) => BREAKERS[breaker] ?? breaker;

/** @param {Source} source @returns {[light: Light, word: string]} */
export function streamState({ stream }) {
  if (!stream) return ['unknown', t('No stream')];
  return STREAMS[stream.state] ?? ['unknown', stream.state];
}

/** Seconds of real time since then; these times are the wall clock's. @param {string | null} time */
export const secondsSince = (time) => (time === null ? null : (Date.now() - Date.parse(time)) / 1000);

/** @param {string | null} time */
export function agoText(time) {
  return time === null ? t('never') : t('%(age)s ago', { age: formatAge(secondsSince(time)) });
}

/** When it is asked again; empty where nothing waits. @param {Source} source */
export function retryText({ retry_at: retryAt }) {
  const seconds = retryAt === null ? 0 : Math.ceil(-(secondsSince(retryAt) ?? 0));
  return seconds > 0 ? t('asked again in %(time)s', { time: formatAge(seconds) }) : '';
}

/** All that fits into a tooltip. @param {Source} source */
export function sourceStory(source) {
  const { latency_ms: latency, stream, last_error: error, last_error_code: code } = source;
  const parts = [
    `${sourceName(source.name)}: ${sourceState(source)}`,
    retryText(source),
    t('last answer %(ago)s', { ago: agoText(source.last_success) }),
    latency ? t('half of the answers within %(time)s ms', { time: formatNumber(latency.p50) }) : '',
    stream ? t('stream: %(state)s', { state: streamState(source)[1] }) : '',
    source.state === 'up' || !error ? '' : failureText(code, error),
  ];
  return parts.filter(Boolean).join(' · ');
}
