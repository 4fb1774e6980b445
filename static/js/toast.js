/** Short messages in the corner; errors stay longer and are read out at once. */

import { element, byId } from './element.js';
import { t } from './i18n.js';
import { ApiError } from './api.js';

const SHOWN_MS = { success: 4_000, error: 9_000 };

/**
 * @param {string} message
 * @param {'success' | 'error'} [kind]
 */
export function toast(message, kind = 'success') {
  const close = element('button', { type: 'button', class: 'toast-close', 'aria-label': t('Dismiss') }, '×');
  const node = element(
    'div',
    { class: `toast toast-${kind}`, role: kind === 'error' ? 'alert' : 'status', 'data-testid': 'toast' },
    element('p', {}, message),
    close,
  );
  close.addEventListener('click', () => node.remove());
  byId('toasts').append(node);
  setTimeout(() => node.remove(), SHOWN_MS[kind]);
}

/** Shows why something failed. A mistake in the page itself goes on to the console. @param {unknown} error */
export function toastError(error) {
  if (!(error instanceof ApiError)) throw error;
  toast(error.message, 'error');
}
