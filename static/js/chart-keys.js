/**
 * Keys that work while the focus is in the chart's card: an interval is typed as it is called (`15m`),
 * letters do what the buttons do. The chart itself takes the keys that move it.
 */

import { element } from './element.js';
import { t } from './i18n.js';
import { INTERVALS } from './klines.js';

const FORGET_AFTER_MS = 2_000;

/**
 * @param {HTMLElement} card
 * @param {HTMLElement} typing shows what has been typed of an interval
 * @param {object} actions
 * @param {(interval: string) => void} actions.onInterval
 * @param {Record<string, () => void>} actions.letters
 */
export function chartKeys(card, typing, { onInterval, letters }) {
  let digits = '';
  let timer = 0;

  /** @param {string} text */
  function type(text) {
    clearTimeout(timer);
    digits = text;
    typing.textContent = text;
    typing.hidden = !text;
    if (text) timer = setTimeout(type, FORGET_AFTER_MS, '');
  }

  /** @param {string} key @returns {boolean} whether it meant something */
  function take(key) {
    if (/^\d$/.test(key) && digits.length < 2) {
      type(digits + key);
      return true;
    }
    const interval = digits + key.toLowerCase();
    const action = digits ? null : letters[key];
    const meant = digits ? INTERVALS.has(interval) : action !== undefined;
    type('');
    if (action) action();
    else if (meant) onInterval(interval);
    return meant;
  }

  card.addEventListener('keydown', (event) => {
    const node = /** @type {HTMLElement} */ (event.target);
    const isTyping = node.matches('input, select, textarea') || node.closest('[popover]');
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (take(event.key)) event.preventDefault();
  });
}

/** A dialog that tells the keys. */
export function showKeys() {
  /** @type {[string[], string][]} */
  const keys = [
    [['←', '→'], t('from bar to bar')],
    [['Shift ←', 'Shift →'], t('move the view')],
    [['Page Up', 'Page Down'], t('move by a whole view')],
    [['+', '−'], t('zoom')],
    [['End'], t('to the newest bar')],
    [['1m', '15m', '4h', '1d', '…'], t('type an interval')],
    [['L'], t('logarithmic scale')],
    [['P'], t('percent scale')],
    [['R'], t('first view again')],
    [['F'], t('full screen')],
    [['S'], t('save a picture')],
    [['Esc'], t('take the crosshair away, leave full screen')],
  ];
  const rows = keys.map(([names, meaning]) =>
    element('div', {}, element('dt', {}, ...names.map((name) => element('kbd', {}, name))), element('dd', {}, meaning)),
  );
  const dialog = element(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'keys-title', 'data-testid': 'keys-dialog' },
    element('h2', { id: 'keys-title' }, t('Keys of the chart')),
    element('p', { class: 'muted' }, t('They work while the chart or one of its buttons has the focus.')),
    element('dl', { class: 'chart-keys' }, ...rows),
    element('form', { method: 'dialog', class: 'dialog-actions' }, element('button', { class: 'button' }, t('Done'))),
  );
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.showModal();
}
