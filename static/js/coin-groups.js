/**
 * The groups of coins: listed, made, changed, deleted.
 *
 * @typedef {object} Group
 * @property {number} id
 * @property {string} name
 * @property {string | null} description
 * @property {number | null} follows_rank it holds the so many largest coins by itself
 * @property {{ id: number, symbol: string, name: string, is_active: boolean }[]} coins in order
 */

import { remove } from './api.js';
import { coinCount } from './coin-facts.js';
import { confirmed } from './dialog.js';
import { element, replaceContent, setText } from './element.js';
import { emptyState } from './failure.js';
import { keepingFocus } from './focus.js';
import { formatNumber } from './format.js';
import { editGroup } from './group-form.js';
import { t } from './i18n.js';
import { toast, toastError } from './toast.js';
import { fromUrl, toUrl } from './url-state.js';

const MEMBERS_NAMED = 12;

/**
 * @param {HTMLElement} container
 * @param {object} options
 * @param {HTMLElement} options.search an input
 * @param {HTMLElement} options.count
 * @param {HTMLElement} options.add the button that makes a new one
 * @param {() => Promise<void>} options.onChange after something was saved
 * @param {(group: Group) => void} options.onShow the coins of one are asked for
 * @returns {{ update: (groups: Group[]) => void }}
 */
export function groupsPanel(container, { search, count, add, onChange, onShow }) {
  const wanted = /** @type {HTMLInputElement} */ (search);
  /** @type {Group[]} */
  let groups = [];
  wanted.value = fromUrl('groups') ?? '';

  function show() {
    const text = wanted.value.trim().toLowerCase();
    const shown = groups.filter((group) => hasText(group, text));
    setText(
      count,
      t('%(count)s of %(total)s groups', { count: formatNumber(shown.length), total: formatNumber(groups.length) }),
    );
    const list = () => element('ul', { class: 'card-grid', 'data-testid': 'group-cards' }, ...shown.map(groupCard));
    keepingFocus(container, () => replaceContent(container, shown.length ? list() : noGroups(groups.length)));
  }

  /** @type {Record<string, (group: Group) => Promise<boolean>>} */
  const actions = {
    show: async (group) => {
      onShow(group);
      return false;
    },
    edit: async (group) => {
      const saved = await editGroup(group);
      if (saved) toast(t('%(name)s is saved.', { name: saved.name }));
      return saved !== null;
    },
    delete: deleteGroup,
  };

  container.addEventListener('click', async (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest('button');
    const key = /** @type {HTMLElement | null | undefined} */ (button?.closest('[data-key]'))?.dataset['key'];
    const group = groups.find(({ id }) => String(id) === key);
    if (group) await attempt(async () => actions[button?.dataset['action'] ?? '']?.(group) ?? false);
  });
  add.addEventListener('click', () => attempt(createGroup));

  /** @param {() => Promise<boolean>} action */
  async function attempt(action) {
    try {
      if (await action()) await onChange();
    } catch (error) {
      toastError(error);
    }
  }

  wanted.addEventListener('input', () => {
    toUrl({ groups: wanted.value || null });
    show();
  });
  return {
    update: (now) => {
      groups = now;
      show();
    },
  };
}

async function createGroup() {
  const made = await editGroup();
  if (made) toast(t('%(name)s is created.', { name: made.name }));
  return made !== null;
}

/** @param {Group} group */
async function deleteGroup({ id, name, coins }) {
  const sure = await confirmed({
    title: t('Delete the group %(name)s?', { name }),
    message: t('The group is gone for good. Its coins stay (%(count)s), and so do the pools that they are in.', {
      count: formatNumber(coins.length),
    }),
    confirmLabel: t('Delete'),
  });
  if (!sure) return false;
  await remove(`/api/coin-groups/${id}`);
  toast(t('%(name)s is deleted.', { name }));
  return true;
}

/** @param {Group} group @param {string} text in lower case */
function hasText({ name, description, coins }, text) {
  const said = [name, description ?? '', ...coins.map(({ symbol }) => symbol)];
  return said.some((word) => word.toLowerCase().includes(text));
}

/** @param {number} total */
function noGroups(total) {
  const message = total
    ? t('No group fits this search.')
    : t('No groups yet. A group is a list of coins that can be added to a pool with one click; create the first one.');
  return element('div', { class: 'card' }, emptyState(message));
}

/** @param {Group} group */
function groupCard({ id, name, description, follows_rank: followed, coins }) {
  const more = coins.length - MEMBERS_NAMED;
  return element(
    'li',
    { class: 'card card-compact', 'data-key': id, 'data-testid': 'group-card' },
    element(
      'div',
      { class: 'coin-head' },
      element('h3', { class: 'card-name', 'data-testid': 'group-name' }, name),
      element('span', { class: 'badge', 'data-testid': 'group-size' }, coinCount(coins.length)),
    ),
    followed
      ? element(
          'p',
          { class: 'field-hint' },
          t('Holds the %(count)s largest coins by market cap, by itself.', { count: formatNumber(followed) }),
        )
      : null,
    description ? element('p', { class: 'muted group-description' }, description) : null,
    element(
      'div',
      { class: 'chips' },
      ...coins.slice(0, MEMBERS_NAMED).map(memberChip),
      more > 0 ? element('span', { class: 'chip muted' }, `+${formatNumber(more)}`) : null,
      coins.length ? null : element('span', { class: 'muted' }, t('No coins in it yet.')),
    ),
    element(
      'div',
      { class: 'coin-actions' },
      button('show', t('Show coins'), name),
      button('edit', t('Edit'), name),
      button('delete', t('Delete'), name),
    ),
  );
}

/** @param {Group['coins'][number]} coin */
function memberChip({ symbol, name, is_active: active }) {
  const title = active ? name : `${name} · ${t('Inactive')}`;
  return element('span', { class: `chip${active ? '' : ' coin-inactive'}`, title }, symbol);
}

/**
 * @param {string} key
 * @param {string} label
 * @param {string} name whose button it is, for screen readers
 */
function button(key, label, name) {
  const described = { 'aria-label': `${label}: ${name}`, 'data-action': key, 'data-testid': `group-${key}` };
  return element('button', { type: 'button', class: 'button button-small', ...described }, label);
}
