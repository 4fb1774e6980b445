/** The window in which something opens that a number comes from. */

import { element } from './element.js';
import { showFailure } from './failure.js';
import { t } from './i18n.js';

/**
 * @param {string} title
 * @param {(body: HTMLElement) => Promise<void>} fill
 * @returns {HTMLDialogElement} open already, while it is being filled
 */
export function originDialog(title, fill) {
  const body = element('div', { class: 'decision-parts' }, element('p', { class: 'muted' }, t('Loading…')));
  const close = element(
    'button',
    { type: 'button', class: 'button', autofocus: true, 'data-testid': 'decision-close' },
    t('Close the window'),
  );
  const dialog = element(
    'dialog',
    { class: 'dialog dialog-large', 'aria-labelledby': 'decision-title', 'data-testid': 'decision-dialog' },
    element('h2', { id: 'decision-title' }, title),
    body,
    element('div', { class: 'dialog-actions' }, close),
  );
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  const load = () => fill(body).catch((error) => showFailure(body, error, load));
  load();
  return dialog;
}
