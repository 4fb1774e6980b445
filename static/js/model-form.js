/** The dialog in which a model is added or edited; its trader's parameters come from their JSON Schema. */

import { ApiError, get, post, put } from './api.js';
import { coinPicker } from './coin-picker.js';
import { element, setText } from './element.js';
import { clearFieldErrors, field, invalidFields, select } from './fields.js';
import { showProblem } from './form-dialog.js';
import { t } from './i18n.js';
import { llmFields } from './llm-fields.js';
import { promptPreview } from './prompt-preview.js';
import { riskFields } from './risk-fields.js';
import { schemaFields } from './schema-fields.js';

const INTERVALS = ['1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '12h', '1d', '1w'];
const AI_TRADER = 'ai';
/** What cannot give advice: another LLM, and what was written beforehand. */
const NO_ADVISERS = new Set([AI_TRADER, 'scripted']);
const DEFAULT_COINS = ['BTC', 'ETH', 'SOL', 'BNB', 'XRP', 'DOGE'];
const NEW_MODEL = {
  name: '',
  trader: 'buy_and_hold',
  params: {},
  coins: DEFAULT_COINS,
  initial_capital: 10_000,
  interval: '1h',
  cycle_minutes: 60,
  risk: 'balanced',
  replicas: 1,
  enabled: true,
};

/**
 * @param {any} [model] the one to edit; without it a new one is added
 * @returns {Promise<boolean>} whether it was saved
 */
export async function editModel(model) {
  const [traders, coins, providers] = await Promise.all([
    get('/api/traders'),
    get('/api/coins', { is_active: 1 }),
    get('/api/providers'),
  ]);
  const form = modelForm({ traders, coins, providers }, model);
  const dialog = element(
    'dialog',
    { class: 'dialog dialog-wide', 'aria-labelledby': 'model-form-title', 'data-testid': 'model-dialog' },
    element('h2', { id: 'model-form-title' }, model ? t('Edit %(name)s', { name: model.name }) : t('Add model')),
    form.node,
  );
  form.cancel.addEventListener('click', () => dialog.close(''));
  form.node.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (await form.save()) dialog.close('saved');
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'saved');
    });
  });
}

/**
 * @param {{ traders: any[], coins: import('./coin-picker.js').Coin[], providers: import('./provider-form.js').Provider[] }} known
 * @param {any} [model]
 */
function modelForm({ traders, coins, providers }, model) {
  const current = model ?? NEW_MODEL;
  const controls = basicControls(traders, current);
  const risk = riskFields(current.risk);
  const about = element('p', { class: 'field-hint', 'data-testid': 'trader-description' });
  const paramsNode = element('div');
  const coinsNode = element('div', { class: 'form' });
  const coinsField = element(
    'fieldset',
    { class: 'fieldset', 'data-field': 'coins' },
    element('legend', {}, t('Coins it may trade')),
    coinsNode,
    element('p', { class: 'field-error', 'data-testid': 'error-coins' }),
  );
  const problem = element('div', {
    class: 'notice notice-error',
    role: 'alert',
    hidden: true,
    'data-testid': 'form-error',
  });
  const cancel = element('button', { type: 'button', class: 'button', 'data-testid': 'model-cancel' }, t('Cancel'));
  const submit = element(
    'button',
    { type: 'submit', class: 'button button-primary', 'data-testid': 'model-save' },
    model ? t('Save changes') : t('Add model'),
  );
  const picker = coinPicker(coinsNode, { coins, chosen: current.coins });
  const preview = promptPreview(previewTerms);
  /** @type {() => Record<string, unknown>} */
  let params;
  /** @type {() => Record<string, unknown>} what an LLM needs besides parameters */
  let terms;

  function showTrader() {
    const trader = traders.find(({ key }) => key === controls.trader.value);
    const usesLlm = trader.key === AI_TRADER;
    setText(about, t(trader.description));
    preview.node.hidden = !usesLlm;
    if (usesLlm) showLlm(trader.params_schema);
    else showRule(trader);
  }

  /** @param {any} trader */
  function showRule({ key, params_schema }) {
    paramsNode.className = 'form-row';
    params = schemaFields(paramsNode, params_schema, key === current.trader ? current.params : {}).values;
    terms = () => ({});
  }

  /** @param {any} schema */
  function showLlm(schema) {
    const rules = traders.filter(({ key }) => !NO_ADVISERS.has(key));
    const known = current.trader === AI_TRADER ? current : { ...current, params: {} };
    const fields = llmFields({ schema, rules, providers, current: known });
    paramsNode.className = '';
    paramsNode.replaceChildren(fields.node);
    ({ params, terms } = fields);
  }

  function previewTerms() {
    const { params: said, prompt, coins: pool, interval, cycle_minutes, risk: held } = body();
    const account = model ? { model_id: model.id } : { initial_capital: Number(controls.initial_capital.value) || 1 };
    return { params: said, prompt, coins: pool, interval, cycle_minutes, risk: held, ...account };
  }

  const node = element(
    'form',
    { class: 'form', novalidate: true },
    element(
      'div',
      { class: 'form-row' },
      field({ name: 'name', label: t('Name'), control: controls.name }),
      field({ name: 'trader', label: t('Trader'), control: controls.trader }),
    ),
    element(
      'fieldset',
      { class: 'fieldset', 'data-field': 'params' },
      element('legend', {}, t('Parameters')),
      about,
      element('p', { class: 'field-error', 'data-testid': 'error-params' }), // what is wrong with all of them together
      paramsNode,
    ),
    coinsField,
    element(
      'fieldset',
      { class: 'fieldset' },
      element('legend', {}, t('Account and cycle')),
      accountRow(controls, risk.profile, Boolean(model)),
      risk.limits,
    ),
    preview.node,
    field({ name: 'enabled', label: t('Trades on its own, once a cycle'), control: controls.enabled }),
    problem,
    element('div', { class: 'dialog-actions' }, cancel, submit),
  );
  controls.trader.addEventListener('change', showTrader);
  for (const event of ['input', 'change']) node.addEventListener(event, preview.changed);
  coinsNode.addEventListener('click', preview.changed);
  showTrader();

  /** @returns {Record<string, any>} */
  const body = () => ({
    name: controls.name.value.trim(),
    trader: controls.trader.value,
    params: params(),
    ...terms(),
    coins: picker.chosen(),
    interval: controls.interval.value,
    cycle_minutes: Number(controls.cycle_minutes.value),
    risk: risk.value(),
    replicas: Number(controls.replicas.value),
    enabled: controls.enabled.checked,
    ...(model ? {} : { initial_capital: Number(controls.initial_capital.value) }),
  });

  async function save() {
    problem.hidden = true;
    clearFieldErrors(node);
    submit.disabled = true;
    try {
      const fields = invalidFields(node);
      if (picker.chosen().length === 0) fields['coins'] = t('Choose at least one coin.');
      if (Object.keys(fields).length)
        throw new ApiError(t('Please correct the marked fields.'), 400, 'invalid_input', fields);
      if (model) await put(`/api/models/${model.id}`, body());
      else await post('/api/models', body());
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showProblem(node, problem, error, { name_taken: 'name' });
      return false;
    } finally {
      submit.disabled = false;
    }
  }

  return { node, cancel, save };
}

/**
 * @param {any[]} traders
 * @param {any} current
 */
function basicControls(traders, current) {
  const intervals = Object.fromEntries(INTERVALS.map((interval) => [interval, interval]));
  return {
    name: element('input', {
      class: 'input',
      required: true,
      maxlength: 100,
      autocomplete: 'off',
      value: current.name,
    }),
    trader: select(Object.fromEntries(traders.map(({ key, name }) => [key, t(name)])), current.trader),
    initial_capital: element('input', {
      class: 'input',
      type: 'number',
      inputmode: 'decimal',
      step: 'any',
      required: true,
      'data-above': 0,
      value: current.initial_capital,
    }),
    interval: select(intervals, current.interval),
    cycle_minutes: element('input', {
      class: 'input',
      type: 'number',
      inputmode: 'numeric',
      step: 1,
      min: 1,
      required: true,
      value: current.cycle_minutes,
    }),
    replicas: element('input', {
      class: 'input',
      type: 'number',
      inputmode: 'numeric',
      step: 1,
      min: 1,
      max: 20,
      required: true,
      value: current.replicas,
    }),
    enabled: element('input', { type: 'checkbox', checked: current.enabled }),
  };
}

/**
 * @param {ReturnType<typeof basicControls>} controls
 * @param {HTMLElement} risk
 * @param {boolean} exists the capital of an account is given once
 */
function accountRow(controls, risk, exists) {
  return element(
    'div',
    { class: 'form-row' },
    exists
      ? null
      : field({ name: 'initial_capital', label: t('Initial capital (USD)'), control: controls.initial_capital }),
    field({ name: 'interval', label: t('Candle interval'), control: controls.interval }),
    field({ name: 'cycle_minutes', label: t('Cycle (minutes)'), control: controls.cycle_minutes }),
    risk,
    field({
      name: 'replicas',
      label: t('Accounts (replicas)'),
      control: controls.replicas,
      hint: t('The same model several times on one snapshot: how much of a result is chance.'),
    }),
  );
}
