/**
 * One coin chosen by typing: an editable combobox with its list, by the ARIA pattern.
 *
 * @typedef {{ symbol: string, name: string }} Coin
 */

import { element, replaceContent } from './element.js';
import { t } from './i18n.js';

const MOST_SHOWN = 50;

/**
 * @param {HTMLElement} container
 * @param {object} options
 * @param {readonly Coin[]} options.coins by rank
 * @param {string} options.chosen symbol
 * @param {(symbol: string) => void} options.onChoose
 */
export function coinCombobox(container, { coins, chosen, onChoose }) {
  let current = chosen;
  let active = 0;
  /** @type {Coin[]} */
  let found = [];
  const input = element('input', {
    class: 'input',
    type: 'text',
    role: 'combobox',
    'aria-label': t('Coin'),
    'aria-autocomplete': 'list',
    'aria-expanded': 'false',
    'aria-controls': 'coin-options',
    autocomplete: 'off',
    autocapitalize: 'characters',
    spellcheck: 'false',
    'data-testid': 'coin-combobox',
  });
  const list = element('ul', {
    class: 'combobox-list',
    id: 'coin-options',
    role: 'listbox',
    'aria-label': t('Coins'),
    hidden: true,
  });
  input.value = chosen;
  replaceContent(container, input, list);

  function open() {
    const wanted = input.value === current ? '' : input.value.trim().toLowerCase();
    found = coins
      .filter(({ symbol, name }) => symbol.toLowerCase().includes(wanted) || name.toLowerCase().includes(wanted))
      .sort((one, other) => Number(startsWith(other, wanted)) - Number(startsWith(one, wanted)))
      .slice(0, MOST_SHOWN);
    replaceContent(
      list,
      ...found.map(option),
      found.length ? null : element('li', { class: 'combobox-none' }, t('No coin is called like this.')),
    );
    list.hidden = false;
    input.setAttribute('aria-expanded', 'true');
    activate(wanted ? 0 : Math.max(0, found.findIndex(({ symbol }) => symbol === current)));
  }

  /**
   * @param {Coin} coin
   * @param {number} index
   */
  function option({ symbol, name }, index) {
    return element(
      'li',
      {
        id: `coin-option-${index}`,
        role: 'option',
        'data-testid': `coin-option-${symbol}`,
        // On pointerdown, as the field would lose the focus and the list close before a click.
        onpointerdown: (/** @type {PointerEvent} */ event) => {
          event.preventDefault();
          choose(symbol);
        },
      },
      element('span', { class: 'combobox-symbol' }, symbol),
      element('span', { class: 'muted' }, name),
    );
  }

  /** @param {number} index */
  function activate(index) {
    active = Math.min(Math.max(0, index), found.length - 1);
    for (const [at, node] of [...list.children].entries()) node.setAttribute('aria-selected', String(at === active));
    const node = list.children[active];
    if (!found[active] || !node) return input.removeAttribute('aria-activedescendant');
    input.setAttribute('aria-activedescendant', node.id);
    node.scrollIntoView({ block: 'nearest' });
  }

  function close() {
    list.hidden = true;
    input.value = current;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
  }

  /** @param {string | undefined} symbol */
  function choose(symbol) {
    const changed = symbol !== undefined && symbol !== current;
    current = symbol ?? current;
    close();
    input.select();
    if (changed) onChoose(current);
  }

  input.addEventListener('focus', () => input.select());
  input.addEventListener('click', open);
  input.addEventListener('input', open);
  input.addEventListener('blur', close);
  input.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (list.hidden) open();
      else activate(active + (event.key === 'ArrowDown' ? 1 : -1));
    } else if (event.key === 'Enter' && !list.hidden) {
      event.preventDefault();
      choose(found[active]?.symbol);
    } else if (event.key === 'Escape' && !list.hidden) {
      event.preventDefault();
      close();
    }
  });
}

/**
 * @param {Coin} coin
 * @param {string} wanted
 */
const startsWith = ({ symbol }, wanted) => symbol.toLowerCase().startsWith(wanted);
