/**
 * Links from a number to where it comes from. static/js/origins.js opens them over the page that they stand on;
 * in a tab of their own they open the same.
 */

import { element } from './element.js';
import { t } from './i18n.js';

/** @typedef {'trade' | 'decision' | 'cycle' | 'call'} Origin */

/**
 * @param {Origin} kind
 * @param {number} id
 * @param {string} text
 * @param {Record<string, unknown>} [attributes]
 */
export function originLink(kind, id, text, attributes = {}) {
  return element('a', { class: 'origin', href: `?${kind}=${id}`, 'data-origin': kind, 'data-origin-id': id, ...attributes }, text);
}

/** Opens what its row is about. @param {Origin} kind @param {number} id */
export function openButton(kind, id) {
  return element(
    'div',
    {},
    originLink(kind, id, t('Show details'), { class: 'button button-small', 'data-testid': 'open-details' }),
  );
}
