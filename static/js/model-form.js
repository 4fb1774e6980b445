/** The dialog in which a model is added or edited; its trader's parameters come from their JSON Schema. */

import { ApiError, get, post, put } from './api.js';
import { coinPicker } from './coin-picker.js';
import { element, setText } from './element.js';
import { clearFieldErrors, field, invalidFields, select } from './fields.js';
import { showProblem } from './form-dialog.js';
import { t } from './i18n.js';
import { schemaFields } from './schema-fields.js';
import { word } from './words.js';

const INTERVALS = ['1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '12h', '1d', '1w'];
const RISK_PROFILES = ['balanced', 'conservative', 'aggressive', 'off'];
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
  enabled: true,
};

/**
 * @param {any} [model] the one to edit; without it a new one is added
 * @returns {Promise<boolean>} whether it was saved
 */
export async function editModel(model) {
  const [traders, coins] = await Promise.all([get('/api/traders'), get('/api/coins', { is_active: 1 })]);
  const form = modelForm(traders, coins, model);
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
 * @param {any[]} traders
 * @param {import('./coin-picker.js').Coin[]} coins
 * @param {any} [model]
 */
function modelForm(traders, coins, model) {
  const current = model ?? NEW_MODEL;
  const controls = basicControls(traders, current);
  const about = element('p', { class: 'field-hint', 'data-testid': 'trader-description' });
  const paramsNode = element('div', { class: 'form-row' });
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
  /** @type {ReturnType<typeof schemaFields>} */
  let params;

  function showTrader() {
    const trader = traders.find(({ key }) => key === controls.trader.value);
    setText(about, t(trader.description));
    params = schemaFields(paramsNode, trader.params_schema, trader.key === current.trader ? current.params : {});
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
      accountRow(controls, Boolean(model)),
    ),
    field({ name: 'enabled', label: t('Trades on its own, once a cycle'), control: controls.enabled }),
    problem,
    element('div', { class: 'dialog-actions' }, cancel, submit),
  );
  controls.trader.addEventListener('change', showTrader);
  showTrader();

  const body = () => ({
    name: controls.name.value.trim(),
    trader: controls.trader.value,
    params: params.values(),
    coins: picker.chosen(),
    interval: controls.interval.value,
    cycle_minutes: Number(controls.cycle_minutes.value),
    risk: controls.risk.value,
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
  const risks = Object.fromEntries(RISK_PROFILES.map((risk) => [risk, word(risk)]));
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
    risk: select(risks, current.risk),
    enabled: element('input', { type: 'checkbox', checked: current.enabled }),
  };
}

/**
 * @param {ReturnType<typeof basicControls>} controls
 * @param {boolean} exists the capital of an account is given once
 */
function accountRow(controls, exists) {
  return element(
    'div',
    { class: 'form-row' },
    exists
      ? null
      : field({ name: 'initial_capital', label: t('Initial capital (USD)'), control: controls.initial_capital }),
    field({ name: 'interval', label: t('Candle interval'), control: controls.interval }),
    field({ name: 'cycle_minutes', label: t('Cycle (minutes)'), control: controls.cycle_minutes }),
    field({ name: 'risk', label: t('Risk profile'), control: controls.risk }),
  );
}
