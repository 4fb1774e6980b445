/** What a search may vary, and what each is called. */

import { paramTitle } from './backtest-terms.js';
import { t } from './i18n.js';

/**
 * @typedef {object} Axis one parameter that may vary
 * @property {string} name
 * @property {string} label
 * @property {'number' | 'integer' | 'choice'} kind
 * @property {unknown[]} choices of a choice
 */

/** Exits of a script, in percent of the price at its entries. */
const SCRIPT_AXES = [
  { name: 'stop_loss_pct', label: t('Stop loss (%)') },
  { name: 'profit_target_pct', label: t('Profit target (%)') },
  { name: 'trailing_stop_pct', label: t('Trailing stop (%)') },
];

const TERM_AXES = [
  { name: 'trade_fee_rate', label: t('Fee per trade (share)') },
  { name: 'slippage_bps', label: t('Slippage (basis points)') },
];

/**
 * @param {any} trader one of /api/traders
 * @returns {Axis[]}
 */
export function axesOf(trader) {
  const number = (/** @type {{ name: string, label: string }} */ axis) => /** @type {Axis} */ ({ ...axis, kind: 'number', choices: [] });
  if (trader.key === 'scripted') return [...SCRIPT_AXES, ...TERM_AXES].map(number);
  const own = Object.entries(trader.params_schema.properties ?? {}).flatMap(([name, given]) => axisOf(name, /** @type {any} */ (given)) ?? []);
  return [...own, ...TERM_AXES.map(number)];
}

/**
 * @param {string} name
 * @param {any} given its JSON Schema
 * @returns {Axis | null}
 */
function axisOf(name, given) {
  const schema = given.anyOf?.find((/** @type {any} */ { type }) => type !== 'null') ?? given;
  const label = t(given.title ?? name);
  if (schema.type === 'boolean') return { name, label, kind: 'choice', choices: [false, true] };
  if (schema.enum) return { name, label, kind: 'choice', choices: schema.enum };
  if (schema.type === 'integer' || schema.type === 'number') return { name, label, kind: schema.type, choices: [] };
  return null;
}

const LABELS = new Map([...SCRIPT_AXES, ...TERM_AXES].map(({ name, label }) => [name, label]));

/** What a parameter is called, by its name. @param {string} name */
export const axisLabel = (name) => LABELS.get(name) ?? t(paramTitle(name));

/** A value as people say it. @param {unknown} value */
export function axisValue(value) {
  if (typeof value === 'boolean') return value ? t('on') : t('off');
  return typeof value === 'string' ? t(value) : String(value);
}
