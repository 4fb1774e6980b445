/**
 * A decision, opened: what was decided, what risk changed, what was filled, and the question to the
 * LLM with its answer. All that a model or a provider has written is shown as text.
 */

import { get } from './api.js';
import { element, replaceContent } from './element.js';
import { errorText } from './error-words.js';
import { formatMoney, formatNumber, formatPrice, formatQuantity, formatTime, NOTHING } from './format.js';
import { t } from './i18n.js';
import { originDialog } from './origin-dialog.js';
import { originLink } from './origin-links.js';
import { plainTable } from './plain-table.js';
import { coinLink, modelLink } from './positions.js';
import { folded, lengthNote, said, sections } from './said.js';
import { traderStory } from './trader-story.js';
import { sideBadge, word } from './words.js';

/** @type {Record<string, string>} */
const OUTCOME_BADGES = {
  executed: 'badge-ok',
  adjusted: 'badge-accent',
  held: 'badge-muted',
  refused: 'badge-warn',
};
const PRICE_FIELDS = new Set(['stop_loss', 'profit_target']);
const SHARE_FIELDS = new Set(['weight', 'confidence']);

/** @param {string} outcome */
export const outcomeBadge = (outcome) =>
  element('span', { class: `badge ${OUTCOME_BADGES[outcome] ?? 'badge-muted'}`, 'data-testid': 'outcome' }, word(outcome));

/** A decision with the whole cycle in which it was made. @param {number} decisionId */
export function openDecision(decisionId) {
  return cycleDialog(`/api/decisions/${decisionId}`, decisionId);
}

/** @param {number} modelId @param {number} cycleId */
export const openCycle = (modelId, cycleId) => cycleDialog(`/api/models/${modelId}/cycles/${cycleId}`);

/** A question that led to no cycle of this app. @param {number} modelId @param {number} callId */
export function openCall(modelId, callId) {
  return originDialog(t('Question to the LLM'), async (body) => {
    replaceContent(body, callBlock(await get(`/api/models/${modelId}/calls/${callId}`), true));
  });
}

/**
 * @param {string} path
 * @param {number} [decisionId] the one to show first
 */
function cycleDialog(path, decisionId) {
  return originDialog(t('Decision'), async (body) => {
    const [{ cycle, calls, decisions, executions, model }, traders] = await Promise.all([get(path), get('/api/traders')]);
    const first = decisions.filter((/** @type {any} */ { id }) => id === decisionId);
    const others = decisions.filter((/** @type {any} */ { id }) => id !== decisionId);
    replaceContent(
      body,
      cycleLine(cycle, model),
      calls.length ? null : traderStory(model, traders),
      ...[...first, ...others].map((decision) =>
        decisionBlock(
          decision,
          executions.filter((/** @type {any} */ { decision_id }) => decision_id === decision.id),
          decision.id === decisionId || decisions.length === 1,
        ),
      ),
      calls.length ? element('h3', {}, t('Questions to the LLM')) : null,
      ...calls.map((/** @type {any} */ call) => callBlock(call, call === calls.at(-1))),
    );
  });
}

/** @param {any} cycle @param {any} model */
function cycleLine({ status, started_at, error, code }, model) {
  return element(
    'div',
    { class: error ? 'notice notice-error' : 'notice' },
    element('span', {}, t('Cycle of %(time)s', { time: formatTime(started_at, 'full') })),
    element('span', { class: 'badge' }, word(status)),
    modelLink(model.id, model.name),
    error ? errorText(code, error) : null,
  );
}

// ---------------------------------------------------------------------------------- a decision

/**
 * @param {any} decision
 * @param {any[]} fills
 * @param {boolean} open
 */
function decisionBlock(decision, fills, open) {
  const { coin, signal, outcome, reason, detail } = decision;
  const notes = [outcomeBadge(outcome), reason ? element('span', { class: 'muted' }, word(reason)) : null];
  return folded(
    `${coin} · ${word(signal)}`,
    [
      element('h3', {}, t('As parsed')),
      parsedList(decision.decision),
      element('h3', {}, t('Risk')),
      riskTable(detail, outcome, reason),
      element('h3', {}, t('Fills')),
      fillsTable(coin, fills),
    ],
    { open, notes, testId: 'decision-block' },
  );
}

/** @param {Record<string, unknown>} decision */
function parsedList(decision) {
  const { invalidation, invalidation_condition: condition } = decision;
  const said = Object.entries(decision).filter(([name]) => name !== 'invalidation_condition' || condition !== invalidation);
  const rows = said.flatMap(([name, value]) => [
    element('dt', {}, fieldName(name)),
    element('dd', {}, name === 'signal' ? word(String(value)) : amount(name, value)),
  ]);
  return element('dl', { class: 'details', 'data-testid': 'decision-parsed' }, ...rows);
}

/** @type {Record<string, string>} */
const FIELD_NAMES = {
  signal: t('Signal'),
  quantity: t('Quantity'),
  notional: t('Notional (USD)'),
  weight: t('Share of equity'),
  leverage: t('Leverage'),
  stop_loss: t('Stop loss'),
  profit_target: t('Profit target'),
  trailing_stop_pct: t('Trailing stop (%)'),
  confidence: t('Confidence'),
  justification: t('Justification'),
  invalidation: t('Invalidation'),
  invalidation_condition: t('Invalidation condition'),
  size: t('Size'),
};

/** @param {string} name */
const fieldName = (name) => FIELD_NAMES[name] ?? name.replaceAll('_', ' ');

/** @param {string} name of the field @param {unknown} value */
function amount(name, value) {
  if (value === null || value === undefined) return NOTHING;
  if (typeof value === 'object') return JSON.stringify(value);
  const figure = Number(value);
  if (value === '' || Number.isNaN(figure)) return t(String(value));
  if (PRICE_FIELDS.has(name)) return formatPrice(figure);
  if (SHARE_FIELDS.has(name)) return `${formatNumber(100 * figure, 2)} %`;
  if (name === 'notional') return formatMoney(figure);
  return formatQuantity(figure);
}

/**
 * @param {Record<string, { asked: number | null, allowed: number | null, limit: string }>} detail
 * @param {string} outcome
 * @param {string | null} reason
 */
function riskTable(detail, outcome, reason) {
  const changes = Object.entries(detail ?? {});
  if (changes.length === 0) {
    const nothing = outcome === 'refused' ? t('Refused: %(reason)s', { reason: word(reason) }) : t('Nothing was changed.');
    return element('p', { class: 'muted', 'data-testid': 'decision-risk' }, nothing);
  }
  return plainTable(
    'decision-risk',
    [t('Field'), t('Asked'), t('Allowed'), t('Limit')],
    changes.map(([name, { asked, allowed, limit }]) => [
      fieldName(name),
      amount(name, asked),
      amount(name, allowed),
      word(limit),
    ]),
  );
}

/** @param {string} coin @param {any[]} fills */
function fillsTable(coin, fills) {
  if (fills.length === 0) return element('p', { class: 'muted', 'data-testid': 'decision-fills' }, t('Nothing was filled.'));
  return plainTable(
    'decision-fills',
    [t('Trade'), t('Time'), t('Action'), t('Quantity'), t('Price'), t('Leverage'), t('Fee')],
    fills.map((fill) => [
      originLink('trade', fill.id, `#${fill.id}`, { 'data-testid': 'fill-link' }),
      formatTime(fill.timestamp, 'full'),
      element(
        'span',
        { class: 'side' },
        word(fill.kind),
        element('span', { class: sideBadge(fill.side) }, word(fill.side)),
        coinLink(coin),
      ),
      formatQuantity(fill.quantity),
      formatPrice(fill.price),
      `${formatQuantity(fill.leverage)}×`,
      formatMoney(fill.fee),
    ]),
  );
}

// -------------------------------------------------------------------------------------- a call

/** @type {Record<string, string>} */
const STATUS_BADGES = { ok: 'badge-ok', sent: 'badge-accent', budget: 'badge-warn', halted: 'badge-warn' };

/** @param {string} status */
export const callBadge = (status) =>
  element('span', { class: `badge ${STATUS_BADGES[status] ?? 'badge-error'}`, 'data-testid': 'call-status' }, word(status));

/** @param {any} call */
export function tokensText({ input_tokens, cached_tokens, output_tokens, usage_estimated }) {
  if (input_tokens === null && output_tokens === null) return NOTHING;
  const parts = [t('%(input)s in, %(output)s out', { input: formatNumber(input_tokens), output: formatNumber(output_tokens) })];
  if (cached_tokens) parts.push(t('%(count)s cached', { count: formatNumber(cached_tokens) }));
  if (usage_estimated) parts.push(t('estimated'));
  return parts.join(', ');
}

/** @param {number | null} milliseconds */
export const latencyText = (milliseconds) =>
  milliseconds === null ? NOTHING : t('%(count)s ms', { count: formatNumber(milliseconds) });

/**
 * @param {any} call
 * @param {boolean} open
 */
function callBlock(call, open) {
  const title = t('Attempt %(number)s · %(model)s', { number: formatNumber(call.attempt), model: call.model_name ?? NOTHING });
  return folded(
    title,
    [
      element('div', { class: 'form' }, ...callProblems(call), callFacts(call), ...callTexts(call)),
    ],
    { open, notes: [callBadge(call.status)], testId: 'call-block' },
  );
}

/** @param {any} call */
function callProblems({ error, error_code: code, parse_errors, repairs }) {
  const problems = Object.entries(parse_errors).map(([coin, { code, message }]) => {
    const text = errorText(code, message);
    return coin === '*' ? text : `${coin}: ${text}`;
  });
  return [
    error || problems.length
      ? element(
          'div',
          { class: 'notice notice-error', 'data-testid': 'call-error' },
          ...[error ? errorText(code, error) : '', ...problems.filter((text) => text !== error)].filter(Boolean).map((text) => element('span', {}, text)),
        )
      : null,
    repairs.length
      ? element('p', { class: 'field-hint' }, t('Mended to read it: %(repairs)s', { repairs: repairs.map(word).join(', ') }))
      : null,
  ];
}

/** @param {any} call */
function callFacts(call) {
  /** @type {[string, string][]} */
  const facts = [
    [t('Time'), formatTime(call.timestamp, 'full')],
    [t('Provider'), call.provider ?? NOTHING],
    [t('Tokens'), tokensText(call)],
    [t('Cost'), call.cost === null ? NOTHING : formatMoney(call.cost)],
    [t('Latency'), latencyText(call.latency_ms)],
    [t('Form of output'), call.output_mode ?? NOTHING],
    [t('Finished because of'), call.finish_reason ?? NOTHING],
    [t('Template'), call.template_version ?? NOTHING],
  ];
  return element(
    'dl',
    { class: 'details', 'data-testid': 'call-facts' },
    ...facts.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]),
  );
}

/** @param {any} call */
function callTexts({ system_prompt, prompt, answer, reasoning, template_version, status }) {
  const unsent = status === 'budget' || status === 'halted';
  const forgotten = template_version && prompt === null && !unsent;
  return [
    forgotten ? element('p', { class: 'muted' }, t('What was asked and answered is no longer kept.')) : null,
    system_prompt ? text(t('System prompt, as sent'), sections(system_prompt), system_prompt, 'call-system') : null,
    prompt ? text(t('Prompt, as sent'), sections(prompt), prompt, 'call-prompt') : null,
    reasoning ? text(t('Reasoning'), said(reasoning), reasoning, 'call-reasoning') : null,
    answer ? text(t('Answer, as received'), said(answer), answer, 'call-answer', true) : null,
  ];
}

/**
 * @param {string} title
 * @param {HTMLElement} content
 * @param {string} whole
 * @param {string} testId
 * @param {boolean} [open]
 */
function text(title, content, whole, testId, open = false) {
  return folded(title, [content], { open, notes: [lengthNote(whole)], testId });
}
