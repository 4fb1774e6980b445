/** What stands in the place of something that could not be loaded. */

import { ApiError } from './api.js';
import { element, replaceContent } from './element.js';
import { t } from './i18n.js';

/**
 * @param {Element} container
 * @param {unknown} error a mistake in the page itself goes on to the console
 * @param {() => void} retry
 */
export function showFailure(container, error, retry) {
  if (!(error instanceof ApiError)) throw error;
  const again = element('button', { type: 'button', class: 'button button-small', onclick: retry }, t('Try again'));
  replaceContent(
    container,
    element('div', { class: 'notice notice-error', role: 'alert', 'data-testid': 'load-error' }, error.message, again),
  );
}

/**
 * @param {string} message what is not there and what to do
 * @param {...import('./element.js').Child} actions
 */
export function emptyState(message, ...actions) {
  return element('div', { class: 'empty-state', 'data-testid': 'empty-state' }, element('p', {}, message), ...actions);
}
