/** The dialog in which a group is made or changed: its name, its coins and their order, saved at once. */

import { get, post, put } from './api.js';
import { coinCount, matches } from './coin-facts.js';
import { element, replaceContent, setText } from './element.js';
import { field } from './fields.js';
import { formDialog } from './form-dialog.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';
import { orderedList } from './ordered-list.js';

/** @typedef {import('./coin-groups.js').Group} Group */
/** @typedef {import('./ordered-list.js').Item} Item */

const MOST_FOUND = 30;

/**
 * @param {Group} [group] the one to edit; without it a new one is made
 * @returns {Promise<{ name: string } | null>} null when nothing was saved
 */
export async function editGroup(group) {
  /** @type {Item[]} */
  const coins = await get('/api/coins', { is_active: 1 });
  const name = element('input', {
    class: 'input',
    required: true,
    maxlength: 50,
    autocomplete: 'off',
    value: group?.name,
  });
  const description = element('input', {
    class: 'input',
    maxlength: 500,
    autocomplete: 'off',
    value: group?.description,
  });
  const members = memberEditor(coins, group?.coins ?? []);
  return formDialog({
    title: group ? t('Edit %(name)s', { name: group.name }) : t('Create group'),
    name: 'group',
    saveLabel: group ? t('Save changes') : t('Create group'),
    content: [
      element(
        'div',
        { class: 'form-row' },
        field({ name: 'name', label: t('Name'), control: name }),
        field({ name: 'description', label: t('Description'), control: description }),
      ),
      group?.follows_rank
        ? element(
            'p',
            { class: 'notice', 'data-testid': 'follows-rank' },
            t(
              'This group holds the %(count)s largest coins by itself: its members are put in anew whenever the ranking is.',
              {
                count: formatNumber(group.follows_rank),
              },
            ),
          )
        : null,
      members.node,
    ],
    conflicts: { name_taken: 'name' },
    send: async () => {
      const body = {
        name: name.value.trim(),
        description: description.value.trim() || null,
        coin_ids: members.ids(),
      };
      await (group ? put(`/api/coin-groups/${group.id}`, body) : post('/api/coin-groups', body));
      return { name: body.name };
    },
  });
}

/**
 * @param {Item[]} coins
 * @param {readonly Item[]} members
 */
function memberEditor(coins, members) {
  const count = element('span', { class: 'muted', role: 'status', 'data-testid': 'member-count' });
  const none = element('p', { class: 'field-hint' }, t('No coins yet: search for them and add them with a click.'));
  const search = element('input', {
    class: 'input',
    type: 'search',
    placeholder: t('Search coins to add'),
    'aria-label': t('Search coins to add'),
    autocomplete: 'off',
    'data-testid': 'member-search',
  });
  const found = element('div', { class: 'chips coin-chips', 'data-testid': 'member-found' });
  const list = orderedList({ items: members, label: t('Coins of the group'), onChange: changed });

  function changed() {
    const size = list.items().length;
    setText(count, coinCount(size));
    none.hidden = size > 0;
    find();
  }

  function find() {
    const inside = new Set(list.items().map(({ id }) => id));
    const wanted = search.value.trim().toLowerCase();
    const fitting = coins.filter((coin) => !inside.has(coin.id) && matches(coin, wanted));
    replaceContent(found, ...fitting.slice(0, MOST_FOUND).map(addChip));
    if (fitting.length === 0)
      replaceContent(found, element('span', { class: 'field-hint' }, t('No coin is called like this.')));
  }

  /** @param {Item} coin */
  function addChip(coin) {
    const onclick = () => {
      list.add(coin);
      search.focus();
      search.select();
    };
    const described = {
      title: coin.name,
      'aria-label': t('Add %(coin)s', { coin: coin.symbol }),
      'data-testid': `add-${coin.symbol}`,
    };
    return element('button', { type: 'button', class: 'chip', ...described, onclick }, `+ ${coin.symbol}`);
  }

  search.addEventListener('input', find);
  search.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault(); // a search does not send the form: it adds the first found
    if (search.value.trim()) /** @type {HTMLElement | null} */ (found.querySelector('button'))?.click();
  });
  const node = element(
    'fieldset',
    { class: 'fieldset', 'data-field': 'coin_ids' },
    element('legend', {}, t('Coins of the group'), ' ', count),
    search,
    found,
    element(
      'p',
      { class: 'field-hint' },
      t('Drag a coin, or focus it and press Alt with the up and down arrow keys, to change the order.'),
    ),
    none,
    list.node,
    element('p', { class: 'field-error', 'data-testid': 'error-coin_ids' }),
  );
  changed();
  return { node, ids: () => list.items().map(({ id }) => id) };
}
