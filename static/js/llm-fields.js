/** The part of the model form of a model that asks an LLM: provider, its model, the prompt, what it is shown, budgets. */

import { ApiError, post } from './api.js';
import { element, replaceContent, setText } from './element.js';
import { field, select } from './fields.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';
import { folded } from './said.js';
import { schemaFields } from './schema-fields.js';

const SHOWN = ['language', 'prompt_use', 'history_bars', 'indicators', 'other_intervals'];
const BUDGET = ['daily_calls', 'daily_tokens', 'daily_cost'];
const ADVICE = ['advice', 'advice_params'];
const LABELS = {
  language: { en: 'English', zh: '中文' },
  prompt_use: { extend: t('extends role and rules'), replace: t('replaces role and rules') },
  output_mode: { auto: t('found out by itself'), json_schema: 'json_schema', json_object: 'json_object', plain: t('plain text') },
  indicators: {
    ema: 'EMA',
    sma: 'SMA',
    rsi: 'RSI',
    macd: 'MACD',
    bollinger: t('Bollinger'),
    atr: 'ATR',
    adx: 'ADX',
    stochastic: t('Stochastic'),
    obv: 'OBV',
    vwap: 'VWAP',
    volume_ratio: t('Volume ratio'),
  },
};

/**
 * @param {object} options
 * @param {any} options.schema of the parameters
 * @param {any[]} options.rules the rule strategies that can give advice
 * @param {import('./provider-form.js').Provider[]} options.providers
 * @param {any} options.current the model as it is
 */
export function llmFields({ schema, rules, providers, current }) {
  const provider = providerField(providers, current);
  const prompt = element(
    'textarea',
    { class: 'textarea', rows: 8, maxlength: 20_000, 'data-testid': 'prompt-editor' },
    current.prompt ?? '',
  );
  const params = current.params ?? {};
  const rest = Object.keys(schema.properties).filter((name) => ![...SHOWN, ...BUDGET, ...ADVICE].includes(name));
  const shown = group(schema, SHOWN, params);
  const budget = group(schema, BUDGET, params);
  const calls = group(schema, rest, params);
  const advice = adviceFields(rules, params);
  const node = element(
    'div',
    { class: 'form' },
    ...provider.nodes,
    field({
      name: 'prompt',
      label: t('Its own prompt'),
      control: prompt,
      hint: t('Your instructions; the market, the account and the form of the answer are added to it.'),
    }),
    fieldset(t('What it is shown'), shown.node),
    fieldset(t('Advice of a rule strategy'), advice.node),
    fieldset(t('Daily budget'), element('p', { class: 'field-hint' }, t('At a limit it holds and makes no further call that day (UTC).')), budget.node),
    folded(t('How it is asked'), [calls.node], { testId: 'llm-calls' }),
  );
  return {
    node,
    params: () => ({ ...shown.values(), ...advice.values(), ...budget.values(), ...calls.values() }),
    terms: () => ({ ...provider.values(), prompt: prompt.value.trim() || null }),
  };
}

/**
 * @param {string} title
 * @param {...Node} content
 */
function fieldset(title, ...content) {
  return element('fieldset', { class: 'fieldset' }, element('legend', {}, title), ...content);
}

/**
 * Fields of some of the schema's properties.
 *
 * @param {any} schema
 * @param {string[]} names
 * @param {Record<string, unknown>} params
 */
function group(schema, names, params) {
  const node = element('div', { class: 'form-row' });
  const properties = Object.fromEntries(names.map((name) => [name, schema.properties[name]]));
  const { values } = schemaFields(node, { ...schema, properties }, params, 'params.', LABELS);
  return { node, values };
}

/**
 * @param {import('./provider-form.js').Provider[]} providers
 * @param {any} current
 */
function providerField(providers, current) {
  const choices = Object.fromEntries(providers.map(({ id, name }) => [String(id), name]));
  const chosen = select({ '': t('Choose a provider'), ...choices }, String(current.provider_id ?? ''));
  chosen.required = true;
  const names = element('datalist', { id: 'llm-model-names' });
  const name = element('input', {
    class: 'input',
    required: true,
    maxlength: 200,
    autocomplete: 'off',
    spellcheck: 'false',
    list: names.id,
    value: current.model_name,
  });
  const said = element('span', { class: 'field-hint', role: 'status', 'data-testid': 'llm-models-result' });
  const fetchButton = element(
    'button',
    { type: 'button', class: 'button button-small', 'data-testid': 'llm-fetch-models' },
    t('Fetch models'),
  );
  /** @param {readonly string[]} models */
  const propose = (models) => replaceContent(names, ...models.map((value) => element('option', { value })));
  const proposeStored = () => propose(providers.find(({ id }) => String(id) === chosen.value)?.models ?? []);
  chosen.addEventListener('change', proposeStored);
  fetchButton.addEventListener('click', async () => {
    if (!chosen.value) return chosen.focus();
    setText(said, t('Asking the provider…'));
    try {
      const { models } = await post('/api/providers/models', { provider_id: Number(chosen.value) });
      propose(models);
      setText(said, t('Models found: %(count)s. Choose one in the field above.', { count: formatNumber(models.length) }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(said, error.message);
    }
  });
  proposeStored();
  const hint = providers.length ? undefined : t('There is no provider yet: add one on the Models page first.');
  return {
    nodes: [
      element(
        'div',
        { class: 'form-row' },
        field({ name: 'provider_id', label: t('Provider'), control: chosen, hint }),
        field({ name: 'model_name', label: t('Model of the provider'), control: name }),
      ),
      names,
      element('div', { class: 'toolbar' }, fetchButton, said),
    ],
    values: () => ({ provider_id: Number(chosen.value) || null, model_name: name.value.trim() || null }),
  };
}

/**
 * A rule strategy, and its parameters by its own schema.
 *
 * @param {any[]} rules
 * @param {Record<string, any>} params
 */
function adviceFields(rules, params) {
  const choices = Object.fromEntries(rules.map(({ key, name }) => [key, t(name)]));
  const chosen = select({ '': t('none'), ...choices }, params['advice'] ?? '');
  const paramsNode = element('div', { class: 'form-row' });
  /** @type {ReturnType<typeof schemaFields> | null} */
  let fields = null;

  function show() {
    const rule = rules.find(({ key }) => key === chosen.value);
    replaceContent(paramsNode);
    fields = null;
    if (!rule) return;
    const current = rule.key === params['advice'] ? (params['advice_params'] ?? {}) : {};
    fields = schemaFields(paramsNode, rule.params_schema, current, 'params.advice_params.');
  }

  chosen.addEventListener('change', show);
  show();
  return {
    node: element(
      'div',
      { class: 'form' },
      field({
        name: 'params.advice',
        label: t('Strategy'),
        control: chosen,
        hint: t('Its signals are shown as advice; the LLM decides.'),
      }),
      paramsNode,
    ),
    values: () => ({ advice: chosen.value, advice_params: fields ? fields.values() : {} }),
  };
}
