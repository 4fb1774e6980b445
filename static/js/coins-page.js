/** The Coins page: every coin as cards or table, found, added, edited, checked; and the groups. */

import { get } from './api.js';
import { COIN_ACTIONS } from './coin-actions.js';
import { showCards } from './coin-cards.js';
import { discoverCoins } from './coin-discover.js';
import { matches } from './coin-facts.js';
import { editCoin } from './coin-form.js';
import { groupsPanel } from './coin-groups.js';
import { refreshPrices } from './coin-prices.js';
import { COIN_COLUMNS, coinTable, exportCoins } from './coin-table.js';
import { acceptInput, byId, element, replaceContent, setText } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { keepingFocus } from './focus.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';
import { fetchPrices, onPrices } from './prices.js';
import { onStreamResumed } from './stream.js';
import { inOrder } from './table.js';
import { oncePerFrame, throttle } from './throttle.js';
import { toast, toastError } from './toast.js';
import { fromUrl, toUrl } from './url-state.js';

/** @typedef {import('./coin-facts.js').Coin} Coin */
/** @typedef {import('./coin-groups.js').Group} Group */

const AGES_MS = 5_000;
const PRICES_MS = 1_000;
/** Of so many coins the prices are asked for at once. */
const PRICES_A_REQUEST = 200;
const ANY = '';

/** @type {Coin[]} */
let coins = [];
/** @type {Group[]} */
let groups = [];
/** @type {string[]} */
let categories = [];
let loaded = false;

const container = byId('coins');
const search = /** @type {HTMLInputElement} */ (byId('search'));
const category = /** @type {HTMLSelectElement} */ (byId('category'));
const group = /** @type {HTMLSelectElement} */ (byId('group'));
const sort = /** @type {HTMLSelectElement} */ (byId('sort'));
const inactive = /** @type {HTMLInputElement} */ (byId('inactive'));
const tablePlace = element('div', { class: 'card coin-table' });
const table = coinTable(tablePlace);
const panel = groupsPanel(byId('groups'), {
  search: byId('search-groups'),
  count: byId('group-count'),
  add: byId('add-group'),
  onChange: load,
  onShow: showGroup,
});

const view = () => (fromUrl('view') === 'table' ? 'table' : 'cards');
const order = () => fromUrl('sort') ?? 'rank';
const section = () => (fromUrl('section') === 'groups' ? 'groups' : 'coins');

async function load() {
  try {
    [coins, groups, categories] = await Promise.all([
      get('/api/coins', { is_active: inactive.checked ? 'all' : 1 }),
      get('/api/coin-groups'),
      get('/api/coins/categories'),
    ]);
    replaceContent(byId('load-failure'));
  } catch (error) {
    // What was loaded before stays; where nothing was, nothing seems to be on its way.
    if (!loaded) byId('coins-section').hidden = byId('groups-section').hidden = true;
    return showFailure(byId('load-failure'), error, load);
  }
  loaded = true;
  showChoices();
  fillSelect(
    category,
    t('All categories'),
    categories.map((name) => [name, name]),
    fromUrl('category'),
  );
  fillSelect(
    group,
    t('All groups'),
    groups.map(({ id, name }) => [String(id), name]),
    fromUrl('group'),
  );
  setText(byId('coins-total'), formatNumber(coins.length));
  setText(byId('groups-total'), formatNumber(groups.length));
  show();
  panel.update(groups);
  await loadPrices();
}

/** Those that no stream brings in the next second. */
async function loadPrices() {
  const symbols = coins.filter((coin) => coin.is_active).map(({ symbol }) => symbol);
  try {
    for (let at = 0; at < symbols.length; at += PRICES_A_REQUEST) {
      await fetchPrices(symbols.slice(at, at + PRICES_A_REQUEST));
    }
    table.orderBy(order());
    show();
  } catch (error) {
    toastError(error);
  }
}

/**
 * @param {HTMLSelectElement} node
 * @param {string} anyLabel
 * @param {[string, string][]} choices
 * @param {string | null} chosen one that is gone is not chosen
 */
function fillSelect(node, anyLabel, choices, chosen) {
  const options = [[ANY, anyLabel], ...choices];
  replaceContent(node, ...options.map(([value, label]) => element('option', { value }, label ?? '')));
  node.value = chosen ?? ANY;
  if (node.selectedIndex < 0) node.value = ANY;
}

/** The coins that the filters let through, in the order chosen. */
function shownCoins() {
  const wanted = search.value.trim().toLowerCase();
  const members = groups.find(({ id }) => String(id) === group.value)?.coins.map(({ id }) => id);
  const inGroup = members && new Set(members);
  const found = coins.filter(
    (coin) =>
      matches(coin, wanted) &&
      (category.value === ANY || coin.category === category.value) &&
      (!inGroup || inGroup.has(coin.id)),
  );
  return inOrder(found, COIN_COLUMNS, order());
}

function show() {
  const shown = shownCoins();
  const asTable = view() === 'table';
  sort.hidden = asTable;
  byId('export').toggleAttribute('disabled', shown.length === 0);
  setText(byId('count'), countText(shown));
  keepingFocus(container, () => {
    if (shown.length === 0) return replaceContent(container, element('div', { class: 'card' }, noCoins()));
    if (!asTable) return showCards(container, shown);
    table.update(shown);
    if (tablePlace.parentNode !== container) replaceContent(container, tablePlace);
  });
  refreshPrices(container);
}

/** @param {Coin[]} shown */
function countText(shown) {
  const count = t('%(count)s of %(total)s coins', {
    count: formatNumber(shown.length),
    total: formatNumber(coins.length),
  });
  const sleeping = shown.filter((coin) => !coin.is_active).length;
  return sleeping ? [count, t('%(count)s inactive', { count: formatNumber(sleeping) })].join(' · ') : count;
}

function noCoins() {
  if (coins.length === 0) {
    const message = t('There are no coins yet. Add one by hand, or discover them by name or by market cap.');
    return emptyState(message, action(t('Discover coins'), discover));
  }
  return emptyState(t('No coin fits these filters.'), action(t('Clear the filters'), clearFilters));
}

/** @param {string} label @param {() => void} onclick */
const action = (label, onclick) =>
  element('button', { type: 'button', class: 'button', 'data-testid': 'empty-action', onclick }, label);

function clearFilters() {
  search.value = ANY;
  category.value = ANY;
  group.value = ANY;
  toUrl({ q: null, category: null, group: null });
  show();
  search.focus();
}

/** Which section, which view and in which order, as the address says. */
function showChoices() {
  const groupsShown = section() === 'groups';
  byId('coins-section').hidden = groupsShown;
  byId('groups-section').hidden = !groupsShown;
  press('section', section());
  press('view', view());
  sort.value = order();
  if (sort.selectedIndex >= 0) return;
  sort.append(element('option', { value: order() }, t('As in the table')));
  sort.value = order();
}

/** @param {string} id @param {string} value */
function press(id, value) {
  for (const button of byId(id).querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button.value === value));
  }
}

/** The coins of one group. @param {Group} chosen */
function showGroup({ id }) {
  toUrl({ section: null, group: id, q: null, category: null });
  search.value = ANY;
  category.value = ANY;
  group.value = String(id);
  showChoices();
  show();
  container.focus();
}

async function discover() {
  if (await discoverCoins()) await load();
}

async function add() {
  const saved = await editCoin(categories);
  if (!saved) return;
  const message = saved.reactivated
    ? t('%(coin)s is active again.', { coin: saved.symbol })
    : t('%(coin)s is added.', { coin: saved.symbol });
  toast(message);
  await load();
}

function listenForFilters() {
  search.value = fromUrl('q') ?? ANY;
  inactive.checked = fromUrl('inactive') === '1';
  search.addEventListener('input', () => {
    toUrl({ q: search.value || null });
    show();
  });
  for (const node of [category, group]) {
    node.addEventListener('change', () => {
      toUrl({ [node.id]: node.value || null });
      show();
    });
  }
  inactive.addEventListener('change', () => {
    toUrl({ inactive: inactive.checked ? 1 : null });
    load();
  });
  sort.addEventListener('change', () => {
    toUrl({ sort: sort.value === 'rank' ? null : sort.value });
    table.orderBy(sort.value);
    show();
  });
}

function listenForChoices() {
  for (const id of ['section', 'view']) {
    const usual = id === 'section' ? 'coins' : 'cards';
    byId(id).addEventListener('click', (event) => {
      const button = /** @type {HTMLElement} */ (event.target).closest('button');
      if (!button) return;
      toUrl({ [id]: button.value === usual ? null : button.value });
      showChoices();
      show();
    });
  }
}

container.addEventListener('click', async (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest('button');
  const key = /** @type {HTMLElement | null | undefined} */ (button?.closest('[data-key]'))?.dataset['key'];
  const coin = coins.find(({ id }) => String(id) === key);
  if (coin && (await COIN_ACTIONS[button?.dataset['action'] ?? '']?.(coin, categories))) await load();
});
byId('add-coin').addEventListener('click', add);
byId('discover').addEventListener('click', discover);
byId('export').addEventListener('click', () => exportCoins(shownCoins()));

const refresh = () => refreshPrices(container);
const refreshSoon = throttle(refresh, PRICES_MS);
onPrices(refreshSoon);
addEventListener('scroll', oncePerFrame(refresh), { passive: true });
// Told when cards come to be drawn: before that, they are taken for out of sight.
container.addEventListener('contentvisibilityautostatechange', oncePerFrame(refresh), true);
setInterval(refreshSoon, AGES_MS); // prices grow old also when nothing comes
onStreamResumed(load);
listenForFilters();
listenForChoices();
showChoices();
acceptInput();
load();
