/** The Models page: who trades, how they do, and what can be done with them. */

import { get } from './api.js';
import { acceptInput, byId, element } from './element.js';
import { errorText } from './error-words.js';
import { emptyState, showFailure } from './failure.js';
import { directionClass, formatMoney, formatNumber, formatPercent, formatTime, NOTHING } from './format.js';
import { t } from './i18n.js';
import { MODEL_ACTIONS } from './model-actions.js';
import { editModel } from './model-form.js';
import { budgetText } from './model-settings.js';
import { isHeldBack, stateBadge, stateWords } from './model-state.js';
import { modelLink } from './positions.js';
import { loadProviders, startProviders } from './provider-cards.js';
import { onStreamResumed, subscribe } from './stream.js';
import { dataTable } from './table.js';
import { throttle } from './throttle.js';
import { toastError } from './toast.js';
import { fromUrl, toUrl } from './url-state.js';
import { word } from './words.js';

const REFRESH_MS = 2_000;
const REFRESH_ANYWAY_MS = 60_000;
const COINS_NAMED = 3;

/** @type {any[]} */
let models = [];
/** @type {Set<number>} models of which a cycle was asked for here */
const busy = new Set();

/** @type {import('./table.js').Column<any>[]} */
const columns = [
  { key: 'name', label: t('Name'), value: ({ name }) => name, show: nameCell },
  {
    key: 'value',
    label: t('Value'),
    number: true,
    value: (model) => model.total_value,
    show: (model) => formatMoney(model.total_value),
  },
  {
    key: 'return',
    label: t('Return'),
    number: true,
    value: (model) => model.return_percentage,
    show: (model) => formatPercent(model.return_percentage),
    className: (model) => directionClass(model.return_percentage),
  },
  {
    key: 'state',
    label: t('State'),
    value: (model) => stateWords(model)[0],
    show: stateBadge,
  },
  {
    key: 'positions',
    label: t('Positions'),
    number: true,
    value: (model) => model.open_positions,
    show: (model) => formatNumber(model.open_positions),
  },
  { key: 'last_cycle', label: t('Last cycle'), value: ({ last_cycle: cycle }) => cycle?.started_at, show: cycleCell },
  { key: 'trader', label: t('Trader'), value: traderText, show: traderCell },
  {
    key: 'cost',
    label: t('Cost today'),
    number: true,
    value: ({ budget }) => budget?.cost,
    show: costCell,
  },
  { key: 'coins', label: t('Coins'), value: ({ coins }) => coins.join(' '), show: poolLink },
  {
    key: 'cycle',
    label: t('Cycle'),
    number: true,
    value: (model) => model.cycle_minutes,
    show: ({ cycle_minutes, interval }) =>
      element(
        'span',
        {},
        t('%(count)s min', { count: formatNumber(cycle_minutes) }),
        element('span', { class: 'cell-note' }, t('%(interval)s candles', { interval })),
      ),
  },
  { key: 'actions', label: t('Actions'), show: actionsCell, className: () => 'actions' },
];

const table = dataTable(byId('models'), {
  label: t('Models'),
  testId: 'models',
  urlKey: 'sort',
  fileName: 'models',
  filter: byId('filter-models'),
  exportButton: byId('export-models'),
  columns,
  keyOf: ({ id }) => id,
  empty: () => {
    const add = element(
      'button',
      { type: 'button', class: 'button button-primary', onclick: addModel, 'data-testid': 'add-first-model' },
      t('Add model'),
    );
    return emptyState(
      t('No models yet. A model is a trader with coins and an account of its own; add the first one.'),
      add,
    );
  },
});

/** @param {any} model */
function nameCell({ id, name, replicas, replica_of }) {
  const many = replicas > 1 && replica_of === null;
  const badge = many
    ? element('span', { class: 'badge badge-muted', title: t('Accounts (replicas)'), 'data-testid': 'replicas' }, `×${replicas}`)
    : null;
  return element('span', { class: 'side' }, modelLink(id, name), badge);
}

/** @param {any} model */
function traderText({ trader_name, provider_name, model_name }) {
  return [t(trader_name), provider_name, model_name].filter(Boolean).join(' ');
}

/** @param {any} model */
function traderCell({ trader_name, provider_name, model_name }) {
  const asked = [provider_name, model_name].filter(Boolean).join(' · ');
  return element(
    'span',
    {},
    t(trader_name),
    asked ? element('span', { class: 'cell-note', 'data-testid': 'model-llm' }, asked) : null,
  );
}

/** What today's calls have cost, where the prices are known. @param {any} budget */
function costText(budget) {
  const isUnknown = !budget || (budget.calls > 0 && budget.cost === 0);
  return isUnknown ? NOTHING : formatMoney(budget.cost);
}

/** The largest part used of a limit, 0 to 1 and more. @param {any} budget */
function budgetShare(budget) {
  if (!budget) return null;
  const parts = [
    [budget.calls, budget.daily_calls],
    [budget.tokens, budget.daily_tokens],
    [budget.cost, budget.daily_cost],
  ].filter(([, most]) => most !== null);
  return parts.length ? Math.max(...parts.map(([used, most]) => (most ? used / most : 1))) : null;
}

/** The cost, and under it how much of the budget is used. @param {any} model */
function costCell({ budget }) {
  const share = budgetShare(budget);
  if (share === null) return costText(budget);
  const used = t('budget %(percent)s', { percent: formatPercent(100 * share, false) });
  const kind = share >= 1 ? 'badge badge-warn' : 'cell-note';
  return element(
    'span',
    { title: budgetText(budget), 'data-testid': 'model-budget' },
    costText(budget),
    element('span', { class: kind }, used),
  );
}

/** To its pool. @param {any} model */
function poolLink({ id, coins }) {
  const named = coins.slice(0, COINS_NAMED).join(' ');
  const more = coins.length > COINS_NAMED ? ` +${coins.length - COINS_NAMED}` : '';
  const described = { title: coins.join(' '), 'data-testid': 'model-coins' };
  return element('a', { class: 'coin', href: `/models/${id}/coins`, ...described }, named + more || t('Choose coins'));
}

/** @param {any} model */
function cycleCell({ last_cycle: cycle }) {
  if (!cycle) return element('span', { class: 'muted' }, t('none yet'));
  /** @type {Record<string, string>} */
  const classes = { done: 'badge-ok', failed: 'badge-error', running: 'badge-accent', interrupted: 'badge-warn' };
  return element(
    'span',
    {},
    element('span', { class: `badge badge-wide ${classes[cycle.status] ?? 'badge-muted'}` }, word(cycle.status)),
    element('span', { class: 'cell-note' }, formatTime(cycle.finished_at ?? cycle.started_at, 'short')),
    cycle.error ? element('span', { class: 'cell-error', 'data-testid': 'cycle-error' }, errorText(cycle.code, cycle.error)) : null,
  );
}

/** @param {any} model */
function actionsCell(model) {
  const { id, name, enabled, replica_of } = model;
  if (replica_of !== null) return element('span', { class: 'muted' }, t('follows its first one'));
  const running = busy.has(id);
  return element(
    'div',
    {},
    action('run', running ? t('Running…') : t('Run now'), name, {
      'aria-busy': running ? 'true' : null,
      disabled: running,
    }),
    enabled && !isHeldBack(model) ? action('pause', t('Pause'), name) : action('resume', t('Resume'), name),
    action('edit', t('Edit'), name),
    action('archive', t('Archive'), name),
  );
}

/**
 * @param {string} key
 * @param {string} label
 * @param {string} name of the model, so that a screen reader says whose button it is
 * @param {Record<string, unknown>} [attributes]
 */
function action(key, label, name, attributes = {}) {
  const described = { 'aria-label': `${label}: ${name}`, 'data-action': key, 'data-testid': `model-${key}` };
  return element('button', { type: 'button', class: 'button button-small', ...described, ...attributes }, label);
}

async function load() {
  try {
    models = await get('/api/models');
    table.update(models);
  } catch (error) {
    showFailure(byId('models'), error, load);
  }
}

async function addModel() {
  await edit();
  toUrl({ add: null });
}

/** @param {any} [model] */
async function edit(model) {
  try {
    const whole = model && (await get(`/api/models/${model.id}`)); // the list leaves long parameters out
    if (await editModel(whole)) await Promise.all([load(), loadProviders()]);
  } catch (error) {
    toastError(error);
  }
}

/** @param {any} model */
async function run(model) {
  busy.add(model.id);
  table.update(models.map((one) => ({ ...one })));
  await MODEL_ACTIONS['run']?.(model);
  busy.delete(model.id);
  await load();
}

byId('models').addEventListener('click', async (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest('button');
  const key = button?.dataset['action'];
  const model = models.find(({ id }) => String(id) === button?.closest('tr')?.dataset['key']);
  if (!key || !model) return;
  if (key === 'run') await run(model);
  else if (key === 'edit') await edit(model);
  else if (await MODEL_ACTIONS[key]?.(model)) await Promise.all([load(), loadProviders()]);
});
byId('add-model').addEventListener('click', addModel);

const loadSoon = throttle(load, REFRESH_MS);
subscribe('cycle', loadSoon);
subscribe('trade', loadSoon);
subscribe('account_value', ({ model_id, total_value }) => {
  models = models.map((model) =>
    model.id === model_id
      ? { ...model, total_value, return_percentage: 100 * (total_value / model.initial_capital - 1) }
      : model,
  );
  showSoon();
});
const showSoon = throttle(() => {
  if (models.length) table.update(models);
}, 1_000);
onStreamResumed(load);
setInterval(() => {
  if (!document.hidden) load();
}, REFRESH_ANYWAY_MS);
acceptInput();
load();
startProviders();
if (fromUrl('add') === 'provider') {
  toUrl({ add: null });
  byId('add-provider').click();
} else if (fromUrl('add')) addModel();
