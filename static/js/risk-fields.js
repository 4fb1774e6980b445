/** The risk of a model in its form: a profile, and limits of its own in the place of the profile's. */

import { element } from './element.js';
import { field, select } from './fields.js';
import { folded } from './said.js';
import { t } from './i18n.js';
import { word } from './words.js';

/** @typedef {string | { profile: string, [limit: string]: number | string }} Risk */

const PROFILES = ['balanced', 'conservative', 'aggressive', 'off'];

/** @type {Record<string, { label: string, min?: number, above?: number, max: number, step: number | 'any' }>} */
const LIMITS = {
  max_leverage: { label: t('Largest leverage'), min: 1, max: 125, step: 'any' },
  max_open_positions: { label: t('Most open positions'), min: 1, max: 500, step: 1 },
  max_position_pct: { label: t('Largest position (percent of equity)'), above: 0, max: 100, step: 'any' },
  max_notional_pct: { label: t('Largest exposure (percent of equity)'), above: 0, max: 12_500, step: 'any' },
  max_risk_pct: { label: t('Most lost at the stop (percent of equity)'), above: 0, max: 100, step: 'any' },
  min_confidence: { label: t('Least confidence (0 to 1)'), min: 0, max: 1, step: 'any' },
  cool_down_minutes: { label: t('Pause after a close (minutes)'), min: 0, max: 10_080, step: 1 },
  daily_loss_pct: { label: t('Largest loss a day (%)'), above: 0, max: 100, step: 'any' },
  max_drawdown_pct: { label: t('Largest drawdown (%)'), above: 0, max: 100, step: 'any' },
};

/** A risk's profile, and the limits that it has of its own. @param {Risk} risk */
export function riskParts(risk) {
  if (typeof risk === 'string') return { profile: risk, own: /** @type {Record<string, number>} */ ({}) };
  const { profile, ...own } = risk;
  return { profile, own: /** @type {Record<string, number>} */ (own) };
}

/** @param {Risk} risk */
export function riskText(risk) {
  const { profile, own } = riskParts(risk);
  const limits = Object.entries(own).map(([name, value]) => `${LIMITS[name]?.label ?? name}: ${value}`);
  return [word(profile), ...limits].join(' · ');
}

/** @param {Risk} risk */
export function riskFields(risk) {
  const { profile, own } = riskParts(risk);
  const profiles = select(Object.fromEntries(PROFILES.map((name) => [name, word(name)])), profile);
  const controls = Object.entries(LIMITS).map(([name, { label, min, above, max, step }]) => {
    const control = element('input', {
      class: 'input',
      type: 'number',
      inputmode: 'decimal',
      min,
      max,
      step,
      'data-above': above,
      value: own[name],
    });
    return { name, control, node: field({ name: `risk.${name}`, label, control }) };
  });
  const limits = folded(
    t('Limits of its own'),
    [
      element('p', { class: 'field-hint' }, t('Empty: the limit of the profile.')),
      element('div', { class: 'form-row' }, ...controls.map(({ node }) => node)),
    ],
    { open: Object.keys(own).length > 0, testId: 'risk-limits' },
  );
  return {
    profile: field({ name: 'risk', label: t('Risk profile'), control: profiles }),
    limits,
    /** @returns {Risk} */
    value() {
      const filled = controls.filter(({ control }) => control.value !== '');
      if (filled.length === 0) return profiles.value;
      const own = Object.fromEntries(filled.map(({ name, control }) => [name, Number(control.value)]));
      return { profile: profiles.value, ...own };
    },
  };
}
