/** The form of a backtest: who trades what, when and on which terms. */

import { get } from './api.js';
import { showCoverage } from './backtest-coverage.js';
import { coinPicker } from './coin-picker.js';
import { element, replaceContent, setText } from './element.js';
import { field, select } from './fields.js';
import { getHealth } from './health.js';
import { t } from './i18n.js';
import { INTERVALS } from './klines.js';
import { llmRunFields } from './llm-run-fields.js';
import { schemaFields } from './schema-fields.js';
import { toastError } from './toast.js';
import { word } from './words.js';

const DEFAULT_COINS = ['BTC'];
const DAYS_WITHOUT_COVERAGE = 30;
const DAY_MS = 86_400_000;
const DECIMALS_OF_A_RATE = 12;

/** @type {Record<string, any>} */
const DEFAULTS = {
  interval: '1h',
  decide_every: 1,
  initial_capital: 10_000,
  trade_fee_rate: 0.001,
  slippage_bps: 2,
  fill: 'next_open',
  lot_rounding: true,
  liquidation: true,
  warmup_bars: null,
  funding: null,
};

/**
 * @typedef {object} Choices what the form chooses from
 * @property {any[]} traders
 * @property {any[]} models
 * @property {import('./coin-picker.js').Coin[]} coins
 * @property {string} now market time, ISO 8601
 */

/**
 * @param {Choices} choices
 * @param {Record<string, any>} start a run's configuration to begin with, or some of it
 * @returns {{ nodes: Node[], request: () => Record<string, unknown> }} `request` is the body of
 *   /api/backtest/run; ApiError where JSON is not valid
 */
export function backtestForm(choices, start) {
  const given = { ...DEFAULTS, ...start };
  const who = whoTrades(choices, given, followModel);
  const terms = termControls(given);
  const request = () => ({ ...who.request(), coins: picker.chosen(), ...termsRequest(terms), ...llm.request() });
  const llm = llmRunFields(given['llm'] ?? {}, request);
  const coinsNode = element('div', { class: 'form' });
  const coverageNode = element('div');
  const useStored = element('button', { type: 'button', class: 'button button-small', 'data-testid': 'use-stored-range', disabled: true }, t('Use the stored range'));
  /** @type {import('./backtest-coverage.js').DateRange | null} */
  let stored = null;
  let datesAreChosen = Boolean(given['start_date'] && given['end_date']);
  /** @type {ReturnType<typeof coinPicker>} */
  let picker;
  let coverageWanted = 0;

  /** @param {readonly string[]} coins */
  function pickCoins(coins) {
    const known = coins.filter((coin) => choices.coins.some(({ symbol }) => symbol === coin));
    const first = choices.coins[0] ? [choices.coins[0].symbol] : [];
    picker = coinPicker(coinsNode, { coins: choices.coins, chosen: known.length ? known : first, onChange: readCoverage });
  }

  /** @param {readonly string[]} [coins] */
  async function readCoverage(coins = picker.chosen()) {
    const wanted = ++coverageWanted;
    try {
      const range = await showCoverage(coverageNode, coins, terms.interval.value);
      if (wanted !== coverageWanted) return;
      stored = range;
      useStored.disabled = stored === null;
      if (!datesAreChosen) useRange(stored);
    } catch (error) {
      toastError(error);
    }
  }

  /** @param {import('./backtest-coverage.js').DateRange | null} range */
  function useRange(range) {
    const end = Date.parse(choices.now);
    terms.start_date.value = range?.start ?? isoDay(end - DAYS_WITHOUT_COVERAGE * DAY_MS);
    terms.end_date.value = range?.end ?? isoDay(end - DAY_MS);
  }

  /** @param {any} model */
  function followModel(model) {
    const isModel = model !== null;
    llm.show(asksAnLlm(model));
    replaceContent(terms.risk, ...riskOptions(isModel, isModel ? '' : (given['risk'] ?? 'off')));
    if (!isModel) return;
    terms.interval.value = model.interval;
    terms.initial_capital.value = String(model.initial_capital);
    pickCoins(model.coins);
  }

  terms.interval.addEventListener('change', () => readCoverage());
  for (const control of [terms.start_date, terms.end_date]) {
    control.addEventListener('change', () => {
      datesAreChosen = true;
    });
  }
  useStored.addEventListener('click', () => {
    datesAreChosen = false;
    useRange(stored);
  });
  useRange(null);
  if (datesAreChosen) Object.assign(terms.start_date, { value: given['start_date'] });
  if (datesAreChosen) Object.assign(terms.end_date, { value: given['end_date'] });
  pickCoins(given['coins'] ?? who.model()?.coins ?? DEFAULT_COINS);
  replaceContent(terms.risk, ...riskOptions(who.model() !== null, given['risk'] ?? (who.model() ? '' : 'off')));
  llm.show(asksAnLlm(who.model()));

  return {
    nodes: [who.node, coinsFieldset(coinsNode, coverageNode), termsFieldset(terms, useStored), llm.node, advancedDetails(terms)],
    request,
  };
}

/**
 * @param {Choices} choices
 * @param {Record<string, any>} given
 * @param {(model: any) => void} onModel told of the model chosen by hand, null for a strategy
 */
function whoTrades({ traders, models, now }, given, onModel) {
  let byModel = given['model_id'] !== undefined && models.some(({ id }) => id === given['model_id']);
  const kind = element('div', { class: 'segmented', role: 'group', 'aria-label': t('Who trades') });
  const names = (/** @type {any[]} */ list, /** @type {string} */ key) => Object.fromEntries(list.map((one) => [one[key], t(one.name)]));
  const preferred = traders.find(({ key }) => key === (given['trader'] ?? 'ma_cross')) ?? traders[0];
  const trader = select(names(traders, 'key'), preferred?.key);
  const model = select(names(models, 'id'), String(given['model_id'] ?? ''));
  const traderField = field({ name: 'trader', label: t('Strategy'), control: trader });
  const modelField = field({ name: 'model_id', label: t('Model'), control: model });
  const about = element('p', { class: 'field-hint', 'data-testid': 'trader-description' });
  const params = element('div', { class: 'form-row', 'data-testid': 'trader-params' });
  /** @type {ReturnType<typeof schemaFields>} */
  let paramFields;
  const chosenModel = () => (byModel ? (models.find(({ id }) => String(id) === model.value) ?? null) : null);

  for (const [value, label] of [['strategy', t('Strategy')], ['model', t('Model')]]) {
    const button = element('button', { type: 'button', value, disabled: value === 'model' && !models.length, 'data-testid': `who-${value}` }, label);
    button.addEventListener('click', () => {
      byModel = value === 'model';
      show();
      onModel(chosenModel());
    });
    kind.append(button);
  }

  function show() {
    for (const button of kind.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String((button.value === 'model') === byModel));
    }
    traderField.hidden = byModel;
    modelField.hidden = !byModel;
    params.hidden = byModel;
    const chosen = chosenTrader();
    setText(about, byModel ? modelWords(chosenModel()) : chosen ? t(chosen.description) : '');
  }

  const chosenTrader = () => traders.find(({ key }) => key === trader.value);

  function showParams() {
    const chosen = chosenTrader();
    if (!chosen) return;
    const example = chosen.key === 'scripted' ? { decisions: exampleScript(now) } : {};
    const current = chosen.key === given['trader'] ? given['params'] : example;
    paramFields = schemaFields(params, chosen.params_schema, current);
  }

  trader.addEventListener('change', () => {
    showParams();
    show();
  });
  model.addEventListener('change', () => {
    show();
    onModel(chosenModel());
  });
  showParams();
  show();
  return {
    node: element('fieldset', { class: 'fieldset' }, element('legend', {}, t('Who trades')), kind, traderField, modelField, about, params, paramsError()),
    model: chosenModel,
    request: () => (byModel ? { model_id: Number(model.value) } : { trader: trader.value, params: paramFields.values() }),
  };
}

/** Where it stands what is wrong with the parameters together: that fast is not below slow. */
function paramsError() {
  return element('div', { 'data-field': 'params' }, element('p', { class: 'field-error', role: 'alert', 'data-testid': 'error-params' }));
}

/** @param {any} model */
function modelWords(model) {
  if (!model) return '';
  const params = Object.entries(model.params ?? {}).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return [t(model.trader_name ?? model.trader), ...params].join(' · ');
}

/** Two decisions that show the form of a script. @param {string} now */
function exampleScript(now) {
  const entry = Date.parse(now) - DAYS_WITHOUT_COVERAGE * DAY_MS;
  return [
    { time: `${isoDay(entry)}T00:00:00Z`, coin: 'BTC', signal: 'buy_to_enter', weight: 0.5 },
    { time: `${isoDay(entry + 7 * DAY_MS)}T00:00:00Z`, coin: 'BTC', signal: 'close_position' },
  ];
}

/** @param {Record<string, any>} given */
function termControls(given) {
  const number = (/** @type {any} */ value, /** @type {Record<string, unknown>} */ limits) =>
    element('input', { class: 'input', type: 'number', inputmode: 'decimal', step: 'any', value, ...limits });
  const funding = given['funding'];
  return {
    start_date: element('input', { class: 'input', type: 'date', required: true }),
    end_date: element('input', { class: 'input', type: 'date', required: true }),
    interval: select(Object.fromEntries([...INTERVALS.keys()].map((key) => [key, key])), given['interval']),
    initial_capital: number(given['initial_capital'], { required: true, 'data-above': 0 }),
    fee_percent: number(rate(given['trade_fee_rate'] * 100), { required: true, min: 0, max: 10 }),
    slippage_bps: number(given['slippage_bps'], { required: true, min: 0, max: 1000 }),
    fill: select({ next_open: t('Open of the next bar'), close: t('Close of the same bar') }, given['fill']),
    risk: element('select', { class: 'select' }),
    decide_every: number(given['decide_every'], { required: true, min: 1, max: 10_000, step: 1 }),
    warmup_bars: number(given['warmup_bars'], { min: 0, max: 100_000, step: 1, placeholder: t('as the trader needs') }),
    lot_rounding: element('input', { type: 'checkbox', checked: given['lot_rounding'] }),
    liquidation: element('input', { type: 'checkbox', checked: given['liquidation'] }),
    funding_percent: number(funding ? rate(funding.rate * 100) : null, { min: -100, max: 100, placeholder: t('none') }),
    funding_hours: number(funding?.every_hours ?? 8, { min: 1, max: 24, step: 1 }),
  };
}

/** @typedef {ReturnType<typeof termControls>} Terms */

/**
 * @param {boolean} isModel
 * @param {string} chosen
 */
function riskOptions(isModel, chosen) {
  const values = ['off', 'conservative', 'balanced', 'aggressive'];
  const own = isModel ? [element('option', { value: '', selected: chosen === '' }, t("The model's own"))] : [];
  return [...own, ...values.map((value) => element('option', { value, selected: value === chosen }, word(value)))];
}

/**
 * @param {HTMLElement} coins
 * @param {HTMLElement} coverage
 */
function coinsFieldset(coins, coverage) {
  return element(
    'fieldset',
    { class: 'fieldset', 'data-field': 'coins' },
    element('legend', {}, t('Coins')),
    coins,
    element('p', { class: 'field-error', 'data-testid': 'error-coins' }),
    coverage,
  );
}

/**
 * @param {Terms} terms
 * @param {HTMLElement} useStored
 */
function termsFieldset(terms, useStored) {
  return element(
    'fieldset',
    { class: 'fieldset' },
    element('legend', {}, t('Range and account')),
    element(
      'div',
      { class: 'form-row' },
      field({ name: 'start_date', label: t('From (UTC)'), control: terms.start_date }),
      field({ name: 'end_date', label: t('To, whole day (UTC)'), control: terms.end_date }),
      field({ name: 'interval', label: t('Interval'), control: terms.interval }),
    ),
    element('div', {}, useStored),
    element(
      'div',
      { class: 'form-row' },
      field({ name: 'initial_capital', label: t('Initial capital ($)'), control: terms.initial_capital }),
      field({ name: 'trade_fee_rate', label: t('Fee per trade (%)'), control: terms.fee_percent }),
      field({ name: 'slippage_bps', label: t('Slippage (basis points)'), control: terms.slippage_bps }),
      field({ name: 'fill', label: t('Decisions fill at'), control: terms.fill }),
      field({ name: 'risk', label: t('Risk profile'), control: terms.risk }),
    ),
  );
}

/** @param {Terms} terms */
function advancedDetails(terms) {
  return element(
    'details',
    { class: 'backtest-advanced' },
    element('summary', { 'data-testid': 'advanced' }, t('More settings')),
    element(
      'div',
      { class: 'form' },
      element(
        'div',
        { class: 'form-row' },
        field({ name: 'decide_every', label: t('Decide every … bars'), control: terms.decide_every }),
        field({ name: 'warmup_bars', label: t('Warm-up bars'), control: terms.warmup_bars }),
        field({ name: 'funding', label: t('Funding rate each time (%)'), control: terms.funding_percent }),
        field({ name: 'funding.every_hours', label: t('Funding every … hours'), control: terms.funding_hours }),
      ),
      field({ name: 'lot_rounding', label: t('Round quantities to the lot size'), control: terms.lot_rounding }),
      field({ name: 'liquidation', label: t('Liquidate positions whose margin is gone'), control: terms.liquidation }),
    ),
  );
}

/** @param {Terms} terms */
function termsRequest(terms) {
  const given = (/** @type {HTMLInputElement} */ control) => (control.value === '' ? null : Number(control.value));
  const funding = given(terms.funding_percent);
  return {
    start_date: terms.start_date.value,
    end_date: terms.end_date.value,
    interval: terms.interval.value,
    decide_every: given(terms.decide_every),
    initial_capital: given(terms.initial_capital),
    trade_fee_rate: rate(Number(terms.fee_percent.value) / 100),
    slippage_bps: given(terms.slippage_bps),
    fill: terms.fill.value,
    ...(terms.risk.value ? { risk: terms.risk.value } : {}),
    lot_rounding: terms.lot_rounding.checked,
    liquidation: terms.liquidation.checked,
    warmup_bars: given(terms.warmup_bars),
    funding: funding ? { rate: rate(funding / 100), every_hours: given(terms.funding_hours) } : null,
  };
}

/** Without the noise of binary fractions: 0.07 % is 0.0007. @param {number} value */
const rate = (value) => Number(value.toPrecision(DECIMALS_OF_A_RATE));

/** @param {number} time milliseconds */
const isoDay = (time) => new Date(time).toISOString().slice(0, 10);

/** Everything that the form chooses from. @returns {Promise<Choices>} */
export async function fetchChoices() {
  const [traders, models, coins, health] = await Promise.all([
    get('/api/traders'),
    get('/api/models'),
    get('/api/coins', { is_active: 'all' }),
    getHealth(),
  ]);
  return { traders: traders.filter((/** @type {any} */ trader) => trader.key !== 'ai'), models, coins, now: health.now };
}

/** Whether it asks a language model. @param {any} model null for a strategy */
const asksAnLlm = (model) => model?.trader === 'ai';
