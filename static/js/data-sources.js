/** The data sources as cards: whether each one answers, how well, and how much of its limits is used. */

import { element, replaceContent, setText } from './element.js';
import { formatAge, formatNumber, formatPercent } from './format.js';
import { t } from './i18n.js';
import { agoText, breakerWord, failureText, retryText, secondsSince, sourceLight, sourceState, streamState } from './source-words.js';
import { sourceName, word } from './words.js';

/** @typedef {import('./sources.js').Source} Source */

/** From this share of a limit on, the meter warns. */
const HIGH_SHARE = 0.8;
/** An error is told for so long after it, though the source answers again. */
const ERROR_TOLD_SECONDS = 300;

/** @param {HTMLElement} container */
export function sourceCards(container) {
  /** @type {Map<string, ReturnType<typeof sourceCard>>} */
  const cards = new Map();

  /** @param {readonly Source[]} sources */
  function update(sources) {
    if (sources.some(({ name }) => !cards.has(name)) || cards.size !== sources.length) {
      cards.clear();
      for (const { name } of sources) cards.set(name, sourceCard(name));
      replaceContent(container, ...[...cards.values()].map(({ node }) => node));
    }
    for (const source of sources) cards.get(source.name)?.show(source);
  }

  return { update };
}

/** @typedef {[label: string, text: (source: Source) => string, note?: (source: Source) => string]} Fact */

/** @type {[key: string, ...Fact][]} */
const FACTS = [
  ['breaker', t('Circuit breaker'), breakerWord, retryText],
  ['success', t('Last answer'), (source) => agoText(source.last_success)],
  ['errors', t('Errors in 5 minutes'), (source) => formatPercent(100 * source.error_rate, false)],
  ['latency', t('Time to answer'), latencyText],
  ['kinds', t('Used for'), kindsText],
  ['stream', t('Stream'), streamText],
  ['dropped', t('Rows dropped'), (source) => formatNumber(source.dropped_rows)],
  ['quarantine', t('In quarantine'), ({ quarantined }) => quarantined.join(', ') || t('no coin')],
];

/** @param {string} name */
function sourceCard(name) {
  const light = element('span', { class: 'light', 'aria-hidden': 'true' });
  const state = element('span', { class: 'badge', 'data-testid': 'source-state' });
  const facts = FACTS.map(([key, label, text, note]) => {
    const value = element('dd', { 'data-testid': `source-${key}` });
    return { label: element('dt', {}, label), value, text, note };
  });
  const budgets = element('div', { class: 'source-budgets' });
  const problem = element('p', { class: 'notice', 'data-testid': 'source-problem', hidden: true });
  const title = element('h3', { class: 'source-name' }, light, sourceName(name));
  const node = element(
    'article',
    { class: 'card', 'aria-label': sourceName(name), 'data-testid': `source-${name}` },
    element('div', { class: 'card-header' }, title, state),
    element(
      'div',
      { class: 'card-body source-body' },
      problem,
      element('dl', { class: 'details' }, ...facts.flatMap(({ label, value }) => [label, value])),
      budgets,
    ),
  );
  const meters = budgetMeters(budgets);

  /** @param {Source} source */
  function show(source) {
    const shown = sourceLight(source);
    light.dataset['state'] = shown;
    state.className = `badge badge-${shown === 'unknown' ? 'muted' : shown}`;
    setText(state, sourceState(source));
    for (const { value, text, note } of facts) {
      setText(value, [text(source), note?.(source)].filter(Boolean).join(' · '));
    }
    meters.show(source.budgets);
    showProblem(problem, source);
  }

  return { node, show };
}

/**
 * The last error, while it is news.
 *
 * @param {HTMLElement} node
 * @param {Source} source
 */
function showProblem(node, { state, last_error: error, last_error_at: time, last_error_code: code }) {
  const age = secondsSince(time ?? null);
  const isOver = state === 'up' || state === 'unused';
  node.hidden = !error || (isOver && (age === null || age > ERROR_TOLD_SECONDS));
  if (node.hidden) return;
  node.className = `notice ${isOver ? '' : state === 'limited' || state === 'quarantined' ? 'notice-warn' : 'notice-error'}`;
  const words = failureText(code, error ?? '');
  node.title = error ?? '';
  setText(node, age === null ? words : `${words} (${agoText(time)})`);
}

/** @param {HTMLElement} container */
function budgetMeters(container) {
  /** @type {Map<string, { node: HTMLElement, bar: HTMLElement, figures: HTMLElement }>} */
  const meters = new Map();

  /** @param {readonly import('./sources.js').Budget[]} budgets */
  function show(budgets) {
    if (budgets.length !== meters.size || budgets.some(({ name }) => !meters.has(name))) {
      meters.clear();
      for (const budget of budgets) meters.set(budget.name, budgetMeter(budget));
      replaceContent(container, ...[...meters.values()].map(({ node }) => node));
    }
    for (const { name, used, limit, window_seconds: seconds } of budgets) {
      const meter = meters.get(name);
      if (!meter) continue;
      const share = limit > 0 ? Math.min(1, used / limit) : 0;
      const values = { used: formatNumber(used), limit: formatNumber(limit), time: formatAge(seconds) };
      const text = t('%(used)s of %(limit)s in %(time)s', values);
      setText(meter.figures, text);
      meter.bar.style.setProperty('--share', `${100 * share}%`);
      meter.bar.dataset['level'] = share >= 1 ? 'full' : share >= HIGH_SHARE ? 'high' : 'low';
      meter.bar.setAttribute('aria-valuemax', String(limit));
      meter.bar.setAttribute('aria-valuenow', String(Math.min(used, limit)));
      meter.bar.setAttribute('aria-valuetext', text);
    }
  }

  return { show };
}

/** The limits as the venues count them. @type {Record<string, string>} */
const BUDGETS = {
  weight: t('Request weight'),
  requests: t('Requests'),
  ticker: t('One price'),
  tickers: t('All prices'),
  candles: t('Recent candles'),
  'history-candles': t('Older candles'),
  books: t('Order book'),
  instruments: t('Listed pairs'),
};

/** @param {import('./sources.js').Budget} budget */
function budgetMeter({ name }) {
  const label = BUDGETS[name] ?? word(name);
  const bar = element('div', { class: 'meter', role: 'meter', 'aria-label': t('Used of the limit: %(name)s', { name: label }), 'aria-valuemin': 0 });
  const figures = element('span', { class: 'muted' });
  const node = element('div', { 'data-testid': 'source-budget' }, element('div', { class: 'meter-label' }, element('span', {}, label), figures), bar);
  return { node, bar, figures };
}

/** @param {Source} source */
function latencyText({ latency_ms: latency }) {
  if (!latency) return t('not measured yet');
  return t('p50 %(half)s ms · p99 %(most)s ms', { half: formatNumber(latency.p50), most: formatNumber(latency.p99) });
}

/** @type {Record<string, string>} */
const KINDS = { price: t('Prices'), klines: t('Candles'), depth: t('Order book') };

/** @param {Source} source */
function kindsText({ kinds }) {
  const named = Object.entries(kinds).map(([kind, place]) => `${KINDS[kind] ?? word(kind)} ${ordinal(Number(place))}`);
  return named.join(' · ') || t('nothing');
}

/** @param {number} place the first choice is 1 */
const ordinal = (place) => t('(choice %(number)s)', { number: place });

/** @param {Source} source */
function streamText(source) {
  const { stream } = source;
  const state = streamState(source)[1];
  if (!stream || stream.state === 'off') return state;
  const heard = t('last message %(ago)s', { ago: agoText(stream.last_message) });
  return [state, heard, t('reconnects: %(count)s', { count: formatNumber(stream.reconnects) })].join(' · ');
}
