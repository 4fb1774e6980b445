/** Where the owner is told of what happens, and of what. The address of the webhook goes in and never comes out. */

import { ApiError, get, post, put } from './api.js';
import { element, replaceContent } from './element.js';
import { errorText } from './error-words.js';
import { clearFieldErrors, field } from './fields.js';
import { showProblem } from './form-dialog.js';
import { t } from './i18n.js';
import { toast } from './toast.js';
import { word } from './words.js';

/** @typedef {{ address_set: boolean, host: string | null, events: string[], all_events: string[] }} Notifications */

/** @type {Record<string, string>} */
const EVENTS = {
  model_stopped: t('A model has lost too much and is stopped'),
  kill_switch: t('All trading is stopped or resumed'),
  liquidation: t('A position is liquidated'),
  source_down: t('A data source stays away'),
  cycles_failing: t('Cycles of a model fail again and again'),
  budget_reached: t('A language model has used its daily budget'),
  backup_failed: t('A backup fails'),
  disk_nearly_full: t('The disk is nearly full'),
};

/** @param {HTMLElement} place */
export async function showNotifications(place) {
  showForm(place, await get('/api/notifications'));
}

/** @param {HTMLElement} place @param {Notifications} stored */
function showForm(place, { address_set: isSet, host, events, all_events: all }) {
  const address = element('input', { class: 'input', type: 'text', inputmode: 'url', autocomplete: 'off', spellcheck: 'false' });
  const choices = all.map((event) => ({
    event,
    control: element('input', { type: 'checkbox', checked: events.includes(event), 'data-testid': `event-${event}` }),
  }));
  const problem = element('div', { class: 'notice notice-error', role: 'alert', hidden: true, 'data-testid': 'notifications-error' });
  const result = element('div', { role: 'status' });
  const form = element(
    'form',
    { class: 'form', novalidate: true, 'data-testid': 'notifications-form' },
    element('p', { class: 'muted', 'data-testid': 'notifications-state' }, stateText(host, isSet)),
    field({
      name: 'address',
      label: t('Address of a webhook'),
      control: address,
      hint: isSet ? t('Empty: the stored one stays. It is a key, and so is never shown.') : t('It takes JSON, as those of Slack, Mattermost and Discord do.'),
    }),
    eventFields(choices),
    problem,
    result,
    element(
      'div',
      { class: 'form-actions' },
      isSet ? button(t('Forget the address'), 'forget-address', () => save({ address: null })) : null,
      isSet ? button(t('Send a test'), 'test-notification', () => test(result)) : null,
      element('button', { type: 'submit', class: 'button button-primary', 'data-testid': 'notifications-save' }, t('Save')),
    ),
  );

  /** @param {object} changes */
  async function save(changes) {
    problem.hidden = true;
    clearFieldErrors(form);
    try {
      showForm(place, await put('/api/notifications', changes));
      toast(t('The settings are saved.'));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showProblem(form, problem, error, {});
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const chosen = choices.filter(({ control }) => control.checked).map((choice) => choice.event);
    save({ events: chosen, ...(address.value.trim() ? { address: address.value } : {}) });
  });
  replaceContent(place, form);
}

/** @param {string | null} host @param {boolean} isSet */
function stateText(host, isSet) {
  if (!isSet) return t('No address is set: nobody is told of anything.');
  return t('Messages go to %(host)s.', { host: host ?? '' });
}

/** @param {{ event: string, control: HTMLInputElement }[]} choices */
function eventFields(choices) {
  return element(
    'fieldset',
    { class: 'fieldset', 'data-field': 'events' },
    element('legend', {}, t('Tell me when')),
    element(
      'div',
      { class: 'form-row settings-events' },
      ...choices.map(({ event, control }) => element('label', { class: 'checkbox' }, control, EVENTS[event] ?? word(event))),
    ),
    element('p', { class: 'field-error', 'data-testid': 'error-events' }),
  );
}

/** @param {string} label @param {string} testId @param {() => void} onclick */
const button = (label, testId, onclick) =>
  element('button', { type: 'button', class: 'button', 'data-testid': testId, onclick }, label);

/** @param {HTMLElement} result */
async function test(result) {
  replaceContent(result, element('p', { class: 'muted' }, t('Sending…')));
  try {
    const { ok, error, code } = await post('/api/notifications/test');
    const text = ok ? t('The message has arrived.') : errorText(code, error ?? '');
    replaceContent(result, element('p', { class: `notice ${ok ? 'notice-ok' : 'notice-error'}`, 'data-testid': 'test-result' }, text));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    replaceContent(result, element('p', { class: 'notice notice-error', 'data-testid': 'test-result' }, error.message));
  }
}
