/** What a model is set to, as a list. */

import { element } from './element.js';
import { formatMoney, formatNumber, formatTime } from './format.js';
import { t } from './i18n.js';
import { riskText } from './risk-fields.js';
import { word } from './words.js';

/**
 * @param {any} model
 * @param {any} trader as /api/traders tells it; undefined where it is no longer there
 */
export function settingsList(model, trader) {
  const properties = trader?.params_schema.properties ?? {};
  const { interval, cycle_minutes, risk, initial_capital, created_at, last_cycle: cycle } = model;
  /** @type {[string, import('./element.js').Child][]} */
  const rows = [
    [t('Trader'), traderText(model, trader?.description ?? '')],
    ...llmRows(model),
    ...shownParams(model, properties).map(([name, property]) => paramRow(name, property, model.params)),
    [t('Coins'), coinChips(model.coins)],
    [t('Candle interval'), interval],
    [t('Cycle'), t('%(count)s min', { count: formatNumber(cycle_minutes) })],
    [t('Risk profile'), riskText(risk)],
    [t('Initial capital'), formatMoney(initial_capital)],
    [
      t('Last cycle'),
      cycle ? `${word(cycle.status)} · ${formatTime(cycle.finished_at ?? cycle.started_at, 'minute')}` : t('none yet'),
    ],
    [t('Created'), formatTime(created_at, 'minute')],
  ];
  return element(
    'dl',
    { class: 'details' },
    ...rows.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]),
  );
}

/**
 * Of the many parameters of a model that asks an LLM, those that are not as usual.
 *
 * @param {any} model
 * @param {Record<string, any>} properties
 */
function shownParams({ budget, params }, properties) {
  const all = Object.entries(properties);
  if (!budget) return all;
  return all.filter(([name, { default: usual }]) => {
    const isUnset = params[name] === undefined || params[name] === null || params[name] === '';
    return !isUnset && !name.startsWith('daily_') && JSON.stringify(params[name]) !== JSON.stringify(usual ?? {});
  });
}

/** @param {any} model @param {string} description */
function traderText({ trader_name: name }, description) {
  return element(
    'span',
    {},
    t(name),
    element('span', { class: 'cell-note', 'data-testid': 'trader-description' }, description ? t(description) : null),
  );
}

/** @param {any} model @returns {[string, string][]} */
function llmRows({ provider_name, model_name, budget }) {
  if (!budget) return [];
  return [
    [t('Provider'), provider_name ?? t('none')],
    [t('Model of the provider'), model_name ?? t('none')],
    [t('Used today'), budgetText(budget)],
  ];
}

/**
 * Of each limit what is used, else what has been used.
 *
 * @param {{ calls: number, tokens: number, cost: number, daily_calls: number | null, daily_tokens: number | null, daily_cost: number | null }} budget
 */
export function budgetText({ calls, tokens, cost, daily_calls, daily_tokens, daily_cost }) {
  /** @param {string} used @param {string | null} most */
  const of = (used, most) => (most === null ? used : `${used} / ${most}`);
  return [
    t('calls %(count)s', { count: of(formatNumber(calls), daily_calls === null ? null : formatNumber(daily_calls)) }),
    t('tokens %(count)s', { count: of(formatNumber(tokens), daily_tokens === null ? null : formatNumber(daily_tokens)) }),
    of(formatMoney(cost), daily_cost === null ? null : formatMoney(daily_cost)),
  ].join(' · ');
}

/** @param {string[]} coins */
function coinChips(coins) {
  return element('span', { class: 'chips' }, ...coins.map((coin) => element('span', { class: 'chip' }, coin)));
}

/**
 * @param {string} name
 * @param {{ title: string, default?: unknown }} property
 * @param {Record<string, unknown>} params
 * @returns {[string, string]}
 */
function paramRow(name, { title, default: usual }, params) {
  return [t(title), paramText(params[name] ?? usual)];
}

/**
 * All parameters in one line, but for long lists that were left out.
 *
 * @param {Record<string, unknown>} params
 * @param {Record<string, any>} properties
 */
export const paramsText = (params, properties) =>
  Object.entries(properties)
    .filter(([name, { type }]) => name in params || type !== 'array')
    .map(([name, property]) => paramRow(name, property, params).join(' '))
    .join(' · ');

/** @param {unknown} value */
function paramText(value) {
  if (value === null || value === undefined || value === '') return t('none');
  if (typeof value === 'boolean') return value ? t('yes') : t('no');
  if (Array.isArray(value)) return listText(value);
  if (typeof value !== 'object') return t(String(value));
  return Object.keys(value).length ? JSON.stringify(value) : t('none');
}

/** @param {unknown[]} values */
function listText(values) {
  if (values.length === 0) return t('none');
  if (values.every((value) => typeof value === 'string')) return values.join(', ');
  return t('%(count)s entries', { count: formatNumber(values.length) });
}
