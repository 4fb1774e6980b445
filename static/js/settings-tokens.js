/** The tokens of scripts: what each may do, when it was used, and ending it. A new one is shown once. */

import { get, post, remove } from './api.js';
import { confirmed } from './dialog.js';
import { byId, element } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { field, select } from './fields.js';
import { formDialog } from './form-dialog.js';
import { formatTime } from './format.js';
import { t } from './i18n.js';
import { dataTable } from './table.js';
import { toast, toastError } from './toast.js';

/**
 * @typedef {object} Token
 * @property {number} id
 * @property {string} name
 * @property {'read' | 'trade' | 'admin'} scope
 * @property {string} prefix
 * @property {string} created_at
 * @property {string | null} expires_at
 * @property {boolean} expired
 * @property {string | null} last_used_at
 */

/** @type {Record<string, string>} */
const SCOPES = {
  read: t('Read: look at everything'),
  trade: t('Read and trade: run, pause and flatten models, run backtests'),
  admin: t('Everything, also settings and tokens'),
};
/** @type {Record<string, string>} */
const SCOPE_WORDS = { read: t('Read'), trade: t('Read and trade'), admin: t('Everything') };

/** @type {import('./table.js').Column<Token>[]} */
const columns = [
  { key: 'name', label: t('Name'), value: ({ name }) => name },
  { key: 'scope', label: t('May'), value: ({ scope }) => SCOPE_WORDS[scope] ?? scope },
  { key: 'prefix', label: t('Begins with'), value: ({ prefix }) => prefix, show: ({ prefix }) => code(`${prefix}…`) },
  time('created', t('Made'), ({ created_at }) => created_at),
  time('used', t('Last used'), ({ last_used_at }) => last_used_at),
  {
    key: 'expires',
    label: t('Expires'),
    value: ({ expires_at }) => expires_at,
    show: ({ expires_at, expired }) =>
      expired ? element('span', { class: 'badge badge-warn' }, t('Expired')) : expires_at ? formatTime(expires_at) : t('never'),
  },
  {
    key: 'revoke',
    label: t('Actions'),
    show: ({ name }) =>
      element(
        'div',
        {},
        element(
          'button',
          {
            type: 'button',
            class: 'button button-small',
            'data-action': 'revoke',
            'aria-label': t('Revoke %(name)s', { name }),
            'data-testid': 'revoke-token',
          },
          t('Revoke'),
        ),
      ),
    className: () => 'actions',
  },
];

/**
 * @param {string} key
 * @param {string} label
 * @param {(token: Token) => string | null} value
 * @returns {import('./table.js').Column<Token>}
 */
function time(key, label, value) {
  return { key, label, value, show: (token) => formatTime(value(token)), className: () => 'muted tabular' };
}

/** @param {string} text */
const code = (text) => element('span', { class: 'code' }, text);

/** Fills the table and listens to its buttons. */
export function startTokens() {
  const place = byId('tokens');
  /** @type {Token[]} */
  let tokens = [];
  const table = dataTable(place, {
    label: t('Tokens of scripts'),
    testId: 'tokens',
    columns,
    keyOf: ({ id }) => id,
    empty: () => emptyState(t('No tokens. A script needs one once a password is set: make one above.')),
  });

  async function load() {
    try {
      tokens = await get('/api/tokens');
      table.update(tokens);
    } catch (error) {
      showFailure(place, error, load);
    }
  }

  byId('new-token').addEventListener('click', async () => {
    const made = await askForToken();
    if (!made) return;
    await load();
    await showOnce(made.name, made.token);
  });
  place.addEventListener('click', async (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest('button[data-action="revoke"]');
    const id = Number(/** @type {HTMLElement | null | undefined} */ (button?.closest('tr'))?.dataset['key']);
    const token = tokens.find((one) => one.id === id);
    if (button && token && (await revoked(token))) await load();
  });
  load();
}

/** @returns {Promise<{ name: string, token: string } | null>} */
function askForToken() {
  const name = element('input', { class: 'input', maxlength: 100, required: true, autocomplete: 'off' });
  const scope = select(SCOPES, 'read');
  const days = element('input', { class: 'input', type: 'number', min: 1, max: 3650, step: 1, inputmode: 'numeric' });
  return formDialog({
    title: t('Make a token'),
    name: 'token',
    saveLabel: t('Make the token'),
    content: [
      field({ name: 'name', label: t('Name'), control: name, hint: t('What it is for: you will know it by that.') }),
      field({ name: 'scope', label: t('What it may do'), control: scope }),
      field({ name: 'days', label: t('Expires after (days)'), control: days, hint: t('Empty: when you revoke it.') }),
    ],
    send: () =>
      post('/api/tokens', { name: name.value, scope: scope.value, days: days.value === '' ? null : Number(days.value) }),
  });
}

/** @param {Token} token @returns {Promise<boolean>} */
async function revoked({ id, name }) {
  const sure = await confirmed({
    title: t('Revoke %(name)s?', { name }),
    message: t('Scripts that send this token are refused from now on. It cannot be brought back.'),
    confirmLabel: t('Revoke'),
  });
  if (!sure) return false;
  try {
    await remove(`/api/tokens/${id}`);
    toast(t('%(name)s is revoked.', { name }));
    return true;
  } catch (error) {
    toastError(error);
    return false;
  }
}

/** The text of a new token, which nobody can see again. @param {string} name @param {string} text */
function showOnce(name, text) {
  const shown = element('input', { class: 'input code', readonly: true, value: text, 'aria-label': t('Token'), 'data-testid': 'token-text' });
  const copy = element('button', { type: 'button', class: 'button', 'data-testid': 'copy-token' }, t('Copy'));
  copy.addEventListener('click', async () => {
    shown.select();
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = t('Copied');
    } catch {
      toast(t('The browser does not let pages copy here: press Ctrl+C.'), 'error'); // it is selected
    }
  });
  const dialog = element(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'token-title', 'data-testid': 'token-made' },
    element('h2', { id: 'token-title' }, name),
    element(
      'div',
      { class: 'form' },
      element('p', {}, t('Copy it now: it is shown this once. Scripts send it as Authorization: Bearer …')),
      element('div', { class: 'settings-token' }, shown, copy),
    ),
    element(
      'form',
      { method: 'dialog', class: 'dialog-actions' },
      element('button', { class: 'button button-primary', 'data-testid': 'token-done' }, t('I have copied it')),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  shown.select();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(undefined);
    });
  });
}
