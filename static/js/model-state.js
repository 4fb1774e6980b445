/** Whether a model trades, and what keeps it from that. */

import { element } from './element.js';
import { formatTime } from './format.js';
import { t } from './i18n.js';
import { word } from './words.js';

/**
 * @typedef {object} ModelState
 * @property {boolean} enabled
 * @property {string | null} paused_until after too large a loss on one day
 * @property {string | null} stopped_reason after too large a loss altogether
 */

/** Whether something but a person keeps it from trading. @param {ModelState} model */
export const isHeldBack = ({ paused_until, stopped_reason }) => Boolean(paused_until ?? stopped_reason);

/** @param {ModelState} model */
export function stateBadge(model) {
  const [text, kind] = stateWords(model);
  return element('span', { class: `badge ${kind}`, 'data-testid': 'model-state' }, text);
}

/** @param {ModelState} model @returns {[string, string]} text, class of the badge */
export function stateWords({ enabled, paused_until, stopped_reason }) {
  if (stopped_reason) return [t('Stopped'), 'badge-error'];
  if (!enabled) return [t('Paused'), 'badge-muted'];
  if (paused_until) return [t('Until %(time)s', { time: formatTime(paused_until, 'short') }), 'badge-warn'];
  return [t('Active'), 'badge-ok'];
}

/** What has happened, and what to do. @param {ModelState} model */
export function lossNotice({ paused_until, stopped_reason }) {
  if (stopped_reason) {
    const text = t('Stopped: %(reason)s. It enters nothing until you resume it; its exits go on working.', {
      reason: word(stopped_reason),
    });
    return element('div', { class: 'notice notice-error', role: 'status', 'data-testid': 'loss-notice' }, text);
  }
  if (!paused_until) return null;
  const text = t('It has reached its daily loss limit and enters nothing until %(time)s, or until you resume it.', {
    time: formatTime(paused_until, 'minute'),
  });
  return element('div', { class: 'notice notice-warn', role: 'status', 'data-testid': 'loss-notice' }, text);
}
