/** Asks before doing what cannot be undone. */

import { element } from './element.js';
import { t } from './i18n.js';

/**
 * @param {{ title: string, message: string, confirmLabel: string }} question the message says what will happen
 * @returns {Promise<boolean>}
 */
export function confirmed({ title, message, confirmLabel }) {
  const dialog = element(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'confirm-title', 'data-testid': 'confirm-dialog' },
    element('h2', { id: 'confirm-title' }, title),
    element('p', {}, message),
    element(
      'form',
      { method: 'dialog', class: 'dialog-actions' },
      element('button', { class: 'button', value: 'cancel', autofocus: true, 'data-testid': 'confirm-cancel' }, t('Cancel')),
      element('button', { class: 'button button-danger', value: 'confirm', 'data-testid': 'confirm-accept' }, confirmLabel),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'confirm');
    });
  });
}
