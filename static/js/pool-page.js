/** The page of a model's coin pool: what it may trade, and with which share of its capital. */

import { ApiError, get, post, put, remove } from './api.js';
import { coinCount } from './coin-facts.js';
import { confirmed } from './dialog.js';
import { acceptInput, byId, element, replaceContent, setText } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';
import { availableCoins } from './pool-available.js';
import { selectedCoins } from './pool-selected.js';
import { onStreamResumed, subscribe } from './stream.js';
import { throttle } from './throttle.js';
import { toast, toastError } from './toast.js';

/** @typedef {import('./coin-facts.js').Coin} Coin */
/** @typedef {import('./coin-groups.js').Group} Group */
/** @typedef {import('./pool-row.js').PoolCoin} PoolCoin */

const REFRESH_MS = 2_000;

const modelId = Number(byId('pool').dataset['modelId']);
const path = `/api/models/${modelId}`;

/** @type {Coin[]} the active ones */
let coins = [];

const available = availableCoins(byId('available'), byId('search-available'), add);
const selected = selectedCoins(byId('selected'), byId('search-selected'), {
  onEnable: (coin, isEnabled) => attempt(() => put(`${path}/coins/${coin.id}`, { is_enabled: isEnabled })),
  onWeigh: weigh,
  onRemove: take,
  onAdd: add,
});

async function start() {
  try {
    /** @type {[{ name: string }, Coin[], Group[]]} */
    const [model, active, groups] = await Promise.all([
      get(path),
      get('/api/coins', { is_active: 1 }),
      get('/api/coin-groups'),
    ]);
    coins = active;
    setText(byId('model-name'), model.name);
    document.title = `${t('Coin pool')} · ${model.name} · ${t('AI crypto trading')}`;
    showGroups(groups);
    showPool(await get(`${path}/coins`));
    byId('pool-sections').hidden = false;
    replaceContent(byId('pool-failure'));
  } catch (error) {
    byId('pool-sections').hidden = coins.length === 0;
    if (error instanceof ApiError && error.status === 404) showNoModel(error.message);
    else showFailure(byId('pool-failure'), error, start);
  }
}

/** @param {string} message */
function showNoModel(message) {
  const link = element('a', { class: 'button button-primary', href: '/models' }, t('All models'));
  replaceContent(byId('pool-failure'), element('div', { class: 'card' }, emptyState(message, link)));
}

/** @param {PoolCoin[]} pool */
function showPool(pool) {
  const inside = pool.filter((coin) => coin.in_pool);
  const listed = new Set(pool.map(({ id }) => id));
  const free = coins.filter(({ id }) => !listed.has(id));
  available.update(free, coins.length);
  selected.update(pool);
  setText(byId('available-count'), formatNumber(free.length));
  setText(byId('selected-count'), formatNumber(inside.length));
}

async function loadPool() {
  try {
    showPool(await get(`${path}/coins`));
  } catch (error) {
    toastError(error);
  }
}

/** @param {Group[]} groups */
function showGroups(groups) {
  const chips = groups.map(({ id, name, description, coins: members }) =>
    element(
      'button',
      {
        type: 'button',
        class: 'chip',
        title: description,
        'data-testid': `quick-${name}`,
        onclick: () => addGroup(id, name),
      },
      name,
      ' ',
      element('span', { class: 'muted' }, coinCount(members.length)),
    ),
  );
  const none = element(
    'p',
    { class: 'muted' },
    t('No groups yet.'),
    ' ',
    element('a', { href: '/coins?section=groups' }, t('Create group')),
  );
  replaceContent(
    byId('quick-groups'),
    chips.length
      ? element('div', { class: 'chips coin-chips', role: 'group', 'aria-labelledby': 'quick-title' }, ...chips)
      : none,
  );
}

/**
 * @param {number} id
 * @param {string} name
 */
async function addGroup(id, name) {
  await attempt(async () => {
    const { added } = await post(`${path}/add-group/${id}`);
    toast(
      added
        ? t('Coins of %(name)s added: %(count)s.', { name, count: formatNumber(added) })
        : t('Every coin of %(name)s is in the pool already.', { name }),
    );
  });
}

/** @param {Coin} coin */
async function add({ id, symbol }) {
  await attempt(async () => {
    await post(`${path}/coins`, { coin_id: id });
    setText(byId('pool-status'), t('%(coin)s is in the pool.', { coin: symbol }));
  });
}

/** @param {PoolCoin} coin */
async function take({ id, symbol, has_position: held }) {
  const sure =
    !held ||
    (await confirmed({
      title: t('Remove %(coin)s from the pool?', { coin: symbol }),
      message: t(
        'A position in %(coin)s is open. The coin becomes close-only: the position stays priced, its stop and target go on working, and it can be closed; no new one is opened.',
        { coin: symbol },
      ),
      confirmLabel: t('Remove'),
    }));
  if (!sure) return;
  await attempt(async () => {
    await remove(`${path}/coins/${id}`);
    setText(byId('pool-status'), t('%(coin)s is out of the pool.', { coin: symbol }));
  });
}

/**
 * @param {PoolCoin} coin
 * @param {number} weight
 * @returns {Promise<string | null>} why it was refused
 */
async function weigh({ id }, weight) {
  try {
    await put(`${path}/coins/${id}`, { weight });
    await loadPool();
    return null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.fields['weight'] ?? error.message;
  }
}

/** Whatever came of it, what is shown is what the server says. @param {() => Promise<unknown>} action */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    toastError(error);
  }
  await loadPool();
}

const loadSoon = throttle(loadPool, REFRESH_MS);
subscribe('trade', ({ model_id }) => {
  if (model_id === modelId) loadSoon();
});
onStreamResumed(start);
acceptInput();
start();
