/** The dialog that finds coins by name or by market cap, and adds those chosen in one step. */

import { ApiError, get, post } from './api.js';
import { candidateTable } from './coin-candidates.js';
import { element, replaceContent, setText } from './element.js';
import { emptyState } from './failure.js';
import { clearFieldErrors, field, invalidFields } from './fields.js';
import { showProblem } from './form-dialog.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';
import { word } from './words.js';

/** @typedef {import('./coin-candidates.js').Candidate} Candidate */
/** @typedef {{ added: number, reactivated: number, skipped: { symbol: string, reason: string }[] }} Added */

const MOST_AT_ONCE = 500;
const TOP_AT_FIRST = 100;

/** @returns {Promise<boolean>} whether coins were added */
export function discoverCoins() {
  let changed = false;
  const form = searchForm();
  const results = element('div', { class: 'discover-results', 'data-testid': 'discover-results' });
  const close = element(
    'button',
    { type: 'button', class: 'button', 'data-testid': 'discover-close' },
    t('Close window'),
  );
  const add = element(
    'button',
    { type: 'button', class: 'button button-primary', disabled: true, 'data-testid': 'discover-add' },
    t('Add chosen coins'),
  );
  const dialog = element(
    'dialog',
    { class: 'dialog dialog-discover', 'aria-labelledby': 'discover-title', 'data-testid': 'discover-dialog' },
    element('h2', { id: 'discover-title' }, t('Discover coins')),
    element(
      'p',
      { class: 'muted' },
      t('Coins are found at CoinGecko and looked up on Binance and OKX. Nothing is added before you say so.'),
    ),
    form.node,
    form.problem,
    results,
    element('div', { class: 'dialog-actions' }, close, add),
  );
  /** @type {ReturnType<typeof candidateTable> | null} */
  let candidates = null;

  async function find() {
    await form.attempt(async () => {
      candidates = null;
      showChosen(0);
      replaceContent(results, element('p', { class: 'muted', role: 'status' }, t('Searching…')));
      try {
        const [found, sleeping] = await Promise.all([
          post('/api/coins/discover', form.wanted()),
          get('/api/coins', { is_active: 0 }),
        ]);
        showFound(found, new Set(sleeping.map((/** @type {{ id: number }} */ { id }) => id)));
      } catch (error) {
        replaceContent(results);
        throw error;
      }
    });
  }

  /**
   * @param {Candidate[]} found
   * @param {Set<number>} sleeping the inactive coins: to add one is to reactivate it
   */
  function showFound(found, sleeping) {
    if (found.length === 0) return replaceContent(results, emptyState(t('CoinGecko knows no coin like this.')));
    candidates = candidateTable(results, { found, sleeping, onChange: showChosen });
  }

  /** @param {number} count */
  function showChosen(count) {
    add.disabled = count === 0 || count > MOST_AT_ONCE;
    setText(add, count ? t('Add chosen coins (%(count)s)', { count: formatNumber(count) }) : t('Add chosen coins'));
  }

  async function addChosen() {
    const chosen = candidates?.chosen() ?? [];
    add.disabled = true;
    const done = await form.attempt(async () => {
      const answer = await post('/api/coins/bulk', { coins: chosen.map(newCoin) }).catch(namingTheCoin(chosen));
      changed = true;
      replaceContent(results, summary(answer));
      candidates = null;
      showChosen(0);
      close.focus();
    });
    if (!done) showChosen(chosen.length);
  }

  form.node.addEventListener('submit', (event) => {
    event.preventDefault();
    find();
  });
  add.addEventListener('click', addChosen);
  close.addEventListener('click', () => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(changed);
    });
  });
}

/** What to look for: a name, or so many by market cap. */
function searchForm() {
  const query = element('input', {
    class: 'input',
    type: 'search',
    maxlength: 100,
    autocomplete: 'off',
    placeholder: 'pepe',
    required: true,
  });
  const top = element('input', {
    class: 'input',
    type: 'number',
    inputmode: 'numeric',
    min: 1,
    max: MOST_AT_ONCE,
    step: 1,
    required: true,
    value: TOP_AT_FIRST,
  });
  const queryField = field({ name: 'query', label: t('Name or symbol'), control: query });
  const topField = field({ name: 'top', label: t('How many, from the largest down'), control: top });
  const problem = element('div', {
    class: 'notice notice-error',
    role: 'alert',
    hidden: true,
    'data-testid': 'form-error',
  });
  const find = element(
    'button',
    { type: 'submit', class: 'button button-primary', 'data-testid': 'discover-search' },
    t('Search'),
  );
  const modes = element(
    'div',
    { class: 'segmented', role: 'group', 'aria-label': t('How to search') },
    element('button', { type: 'button', value: 'query', 'data-testid': 'discover-by-name' }, t('By name')),
    element('button', { type: 'button', value: 'top', 'data-testid': 'discover-by-rank' }, t('By market cap')),
  );
  const node = element('form', { class: 'form discover-form', novalidate: true }, modes, queryField, topField, find);

  /** @param {string} mode */
  function setMode(mode) {
    const byName = mode === 'query';
    queryField.hidden = !byName;
    topField.hidden = byName;
    query.disabled = !byName;
    top.disabled = byName;
    for (const button of modes.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(button.value === mode));
    }
  }

  /** @param {() => Promise<void>} action @returns {Promise<boolean>} whether it went well */
  async function attempt(action) {
    problem.hidden = true;
    clearFieldErrors(node);
    find.disabled = true;
    try {
      const fields = invalidFields(node);
      if (Object.keys(fields).length)
        throw new ApiError(t('Please correct the marked fields.'), 400, 'invalid_input', fields);
      await action();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showProblem(node, problem, error, {});
      return false;
    } finally {
      find.disabled = false;
    }
  }

  modes.addEventListener('click', (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest('button');
    if (button) setMode(button.value);
  });
  setMode('query');
  const wanted = () => (top.disabled ? { query: query.value.trim() } : { top: Number(top.value) });
  return { node, problem, attempt, wanted };
}

/** A candidate as the API takes coins. @param {Candidate} candidate */
function newCoin({ symbol, name, category, binance_symbol, okx_symbol, coingecko_id, market_cap_rank }) {
  return { symbol, name, category, binance_symbol, okx_symbol, coingecko_id, market_cap_rank };
}

/**
 * The API names a refused coin by its place (`coins.3.symbol`); a person knows it by its symbol.
 *
 * @param {Candidate[]} chosen
 * @returns {(error: unknown) => never}
 */
function namingTheCoin(chosen) {
  return (error) => {
    if (error instanceof ApiError) {
      error.fields = Object.fromEntries(
        Object.entries(error.fields).map(([name, reason]) => {
          const symbol = chosen[Number(name.split('.')[1])]?.symbol;
          return [symbol ? `${symbol} (${name.split('.').slice(2).join('.')})` : name, reason];
        }),
      );
    }
    throw error;
  };
}

/** @param {Added} answer */
function summary({ added, reactivated, skipped }) {
  const counts = t('Added: %(added)s. Reactivated: %(reactivated)s. Skipped: %(skipped)s.', {
    added: formatNumber(added),
    reactivated: formatNumber(reactivated),
    skipped: formatNumber(skipped.length),
  });
  return element(
    'div',
    { class: 'discover-summary', role: 'status', 'data-testid': 'discover-summary' },
    element('p', { class: 'notice' }, counts),
    element(
      'ul',
      { class: 'discover-skipped' },
      ...skipped.map(({ symbol, reason }) =>
        element('li', { 'data-testid': 'discover-skipped' }, element('strong', {}, symbol), ` ${word(reason)}`),
      ),
    ),
  );
}
