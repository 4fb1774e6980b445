/**
 * A list whose order is changed by dragging, by buttons and by Alt with the arrow keys; where
 * something went is said to screen readers.
 *
 * What moves stays in the document while its neighbours are put on its other side: it keeps the
 * focus and the pointer.
 *
 * @typedef {{ id: number, symbol: string, name: string, is_active: boolean }} Item
 */

import { element, setText } from './element.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';

/** So near to the edge, in pixels, a drag scrolls the list. */
const EDGE = 28;
const SCROLL_STEP = 8;

/**
 * @param {object} options
 * @param {readonly Item[]} options.items
 * @param {string} options.label
 * @param {() => void} options.onChange
 */
export function orderedList({ items, label, onChange }) {
  const list = element('ol', { class: 'ordered', 'aria-label': label, 'data-testid': 'members' });
  const said = element('p', {
    class: 'sr-only',
    role: 'status',
    'aria-live': 'assertive',
    'data-testid': 'order-said',
  });
  /** @type {Map<Element, Item>} */
  const itemOf = new Map();

  /** @param {Item} item */
  function append(item) {
    const node = row(item);
    itemOf.set(node, item);
    list.append(node);
  }

  /** @param {Item} item */
  function add(item) {
    append(item);
    changed();
    list.lastElementChild?.scrollIntoView({ block: 'nearest' });
  }

  const rows = () => /** @type {HTMLElement[]} */ ([...list.children]);

  function changed() {
    refresh();
    onChange();
  }

  function refresh() {
    const nodes = rows();
    for (const [at, node] of nodes.entries()) {
      button(node, 'up').disabled = at === 0;
      button(node, 'down').disabled = at === nodes.length - 1;
    }
    if (!nodes.some((node) => node.tabIndex === 0)) makeCurrent(nodes[0]);
  }

  /** One row at a time is on the way of the Tab key. @param {HTMLElement | undefined} current */
  function makeCurrent(current) {
    for (const node of rows()) {
      const index = node === current ? 0 : -1;
      node.tabIndex = index;
      for (const inside of node.querySelectorAll('button')) inside.tabIndex = index;
    }
  }

  /** @param {HTMLElement} node @param {number} step -1 up, 1 down */
  function move(node, step) {
    const other = step < 0 ? node.previousElementSibling : node.nextElementSibling;
    if (!other) return;
    other.remove();
    if (step < 0) node.after(other);
    else node.before(other);
    changed();
    say(node);
    node.scrollIntoView({ block: 'nearest' });
  }

  /** @param {Element} node */
  function say(node) {
    const at = rows().indexOf(/** @type {HTMLElement} */ (node)) + 1;
    const { symbol = '' } = itemOf.get(node) ?? {};
    setText(
      said,
      t('%(coin)s is now number %(place)s of %(total)s.', {
        coin: symbol,
        place: formatNumber(at),
        total: formatNumber(list.children.length),
      }),
    );
  }

  /** @param {HTMLElement} node */
  function remove(node) {
    const next = /** @type {HTMLElement | null} */ (node.nextElementSibling ?? node.previousElementSibling);
    node.remove();
    itemOf.delete(node);
    changed();
    if (next) makeCurrent(next);
    next?.focus();
  }

  list.addEventListener('click', (event) => {
    const pressed = /** @type {HTMLElement} */ (event.target).closest('button');
    const node = /** @type {HTMLElement | null | undefined} */ (pressed?.closest('li'));
    const action = pressed?.dataset['move'];
    if (!node || !pressed) return;
    if (action === 'remove') return remove(node);
    move(node, action === 'up' ? -1 : 1);
    if (pressed.disabled) node.focus(); // at the end of its way
  });
  list.addEventListener('focusin', (event) => {
    makeCurrent(/** @type {HTMLElement} */ (event.target).closest('li') ?? undefined);
  });
  list.addEventListener('keydown', (event) => {
    const step = event.key === 'ArrowUp' ? -1 : event.key === 'ArrowDown' ? 1 : 0;
    const node = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest('li'));
    if (!step || !node) return;
    event.preventDefault();
    if (event.altKey) return move(node, step);
    const other = step < 0 ? node.previousElementSibling : node.nextElementSibling;
    /** @type {HTMLElement | null} */ (other)?.focus();
  });
  list.addEventListener('pointerdown', (event) => {
    const handle = /** @type {HTMLElement} */ (event.target).closest('.ordered-handle');
    const node = /** @type {HTMLElement | null | undefined} */ (handle?.closest('li'));
    if (!handle || !node || event.button !== 0) return;
    event.preventDefault();
    drag(list, node, /** @type {HTMLElement} */ (handle), event, () => {
      changed();
      say(node);
    });
  });
  for (const item of items) append(item);
  refresh();
  const chosen = () => rows().map((node) => /** @type {Item} */ (itemOf.get(node)));
  return { node: element('div', {}, list, said), add, items: chosen };
}

/** @param {HTMLElement} node @param {string} action */
const button = (node, action) => /** @type {HTMLButtonElement} */ (node.querySelector(`[data-move="${action}"]`));

/** @param {Item} item */
function row({ symbol, name, is_active: active }) {
  const handle = element(
    'span',
    {
      class: 'ordered-handle',
      'aria-hidden': 'true',
      title: t('Drag to change the order'),
      'data-testid': `drag-${symbol}`,
    },
    '⠿',
  );
  return element(
    'li',
    { tabindex: -1, 'aria-label': `${symbol} ${name}`, 'data-testid': `member-${symbol}` },
    handle,
    element('span', { class: 'ordered-symbol' }, symbol),
    element('span', { class: 'one-line muted', title: name }, name),
    active ? null : element('span', { class: 'badge badge-muted' }, t('Inactive')),
    moveButton('up', '↑', t('Move %(coin)s up', { coin: symbol }), symbol),
    moveButton('down', '↓', t('Move %(coin)s down', { coin: symbol }), symbol),
    moveButton('remove', '×', t('Remove %(coin)s', { coin: symbol }), symbol),
  );
}

/**
 * @param {string} action
 * @param {string} sign
 * @param {string} label
 * @param {string} symbol
 */
function moveButton(action, sign, label, symbol) {
  const described = { 'data-move': action, 'aria-label': label, title: label, 'data-testid': `${action}-${symbol}` };
  return element(
    'button',
    { type: 'button', class: 'button button-quiet button-small', tabindex: -1, ...described },
    sign,
  );
}

/**
 * Until the pointer is let go; near the list's edges it scrolls.
 *
 * @param {HTMLElement} list
 * @param {HTMLElement} node
 * @param {HTMLElement} handle
 * @param {PointerEvent} start
 * @param {() => void} done
 */
function drag(list, node, handle, start, done) {
  let y = start.clientY;
  let frame = 0;
  handle.setPointerCapture(start.pointerId);
  node.classList.add('ordered-dragged');

  function follow() {
    const edges = list.getBoundingClientRect();
    if (y < edges.top + EDGE) list.scrollBy(0, -SCROLL_STEP);
    else if (y > edges.bottom - EDGE) list.scrollBy(0, SCROLL_STEP);
    place(node, y);
    frame = requestAnimationFrame(follow);
  }

  /** @param {PointerEvent} event */
  const moved = (event) => {
    y = event.clientY;
    place(node, y);
  };
  const ended = () => {
    cancelAnimationFrame(frame);
    handle.removeEventListener('pointermove', moved);
    node.classList.remove('ordered-dragged');
    done();
  };
  handle.addEventListener('pointermove', moved);
  handle.addEventListener('lostpointercapture', ended, { once: true });
  frame = requestAnimationFrame(follow);
}

/**
 * Puts neighbours that the pointer has passed on the other side.
 *
 * @param {HTMLElement} node
 * @param {number} y
 */
function place(node, y) {
  for (let next = node.nextElementSibling; next && y > middle(next); next = node.nextElementSibling) node.before(next);
  for (let last = node.previousElementSibling; last && y < middle(last); last = node.previousElementSibling)
    node.after(last);
}

/** @param {Element} node */
function middle(node) {
  const { top, height } = node.getBoundingClientRect();
  return top + height / 2;
}
