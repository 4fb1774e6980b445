/** The part of the backtest form of a model that asks an LLM: recorded answers, caps, blind mode, and what it will cost. */

import { ApiError, post } from './api.js';
import { element, setText } from './element.js';
import { field, select } from './fields.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';

const COST_DECIMALS = 4;

/**
 * @typedef {object} Estimate the answer of /api/backtest/estimate
 * @property {number} calls
 * @property {number} prompt_tokens
 * @property {number} completion_tokens
 * @property {number | null} cost
 * @property {number} recorded_already
 * @property {number | null} cost_still_to_pay
 */

/**
 * @param {Record<string, any>} given an earlier run's terms of its LLM
 * @param {() => Record<string, unknown>} run the body of /api/backtest/run
 */
export function llmRunFields(given, run) {
  const replay = select(
    { use: t('use recorded answers, ask for others'), only: t('use recorded answers alone'), off: t('ask anew') },
    given['replay'] ?? 'use',
  );
  const maxCalls = element('input', { class: 'input', type: 'number', min: 0, max: 1_000_000, step: 1, value: given['max_calls'], placeholder: t('any') });
  const maxCost = element('input', { class: 'input', type: 'number', min: 0, max: 1_000_000, step: 'any', value: given['max_cost'], placeholder: t('any') });
  const blind = element('input', { type: 'checkbox', checked: given['blind'] ?? false });
  const ask = element('button', { type: 'button', class: 'button button-small', 'data-testid': 'estimate-cost' }, t('Estimate the cost'));
  const said = element('p', { class: 'field-hint', role: 'status', 'data-testid': 'cost-estimate' });
  const node = element(
    'fieldset',
    { class: 'fieldset', 'data-testid': 'llm-run', hidden: true },
    element('legend', {}, t('Language model')),
    element(
      'div',
      { class: 'form-row' },
      field({ name: 'replay', label: t('Answers'), control: replay }),
      field({ name: 'max_calls', label: t('Most calls'), control: maxCalls }),
      field({ name: 'max_cost', label: t('Most cost ($)'), control: maxCost }),
    ),
    field({ name: 'blind', label: t('Blind: neutral names, shifted dates, rescaled prices'), control: blind }),
    element('div', {}, ask),
    said,
  );

  ask.addEventListener('click', async () => {
    ask.disabled = true;
    setText(said, t('Estimating…'));
    try {
      setText(said, estimateWords(await post('/api/backtest/estimate', run())));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(said, [error.message, ...Object.entries(error.fields).map(([name, reason]) => `${name}: ${reason}`)].join(' '));
    } finally {
      ask.disabled = false;
    }
  });

  const number = (/** @type {HTMLInputElement} */ input) => (input.value === '' ? null : Number(input.value));
  return {
    node,
    /** @param {boolean} asksAnLlm */
    show(asksAnLlm) {
      node.hidden = !asksAnLlm;
      setText(said, '');
    },
    /** What the request says of the LLM; nothing for a trader that asks none. */
    request: () => (node.hidden ? {} : { replay: replay.value, max_calls: number(maxCalls), max_cost: number(maxCost), blind: blind.checked }),
  };
}

/** @param {Estimate} estimate */
function estimateWords(estimate) {
  const size = t('%(calls)s calls, %(input)s tokens of prompts and %(output)s of answers', {
    calls: formatNumber(estimate.calls),
    input: formatNumber(estimate.prompt_tokens),
    output: formatNumber(estimate.completion_tokens),
  });
  const recorded = t('%(count)s answers are recorded already', { count: formatNumber(estimate.recorded_already) });
  if (estimate.cost === null || estimate.cost_still_to_pay === null) {
    return [size, t('the prices of this model are not known'), recorded].join(' · ');
  }
  const cost = t('about $%(cost)s, of which $%(left)s are still to pay', {
    cost: formatNumber(estimate.cost, COST_DECIMALS),
    left: formatNumber(estimate.cost_still_to_pay, COST_DECIMALS),
  });
  return [size, cost, recorded].join(' · ');
}
