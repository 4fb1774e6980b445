/**
 * A form of some of the owner's settings: what each affects, its bounds, and under it why it was refused.
 * Only what differs is sent.
 */

import { ApiError, put } from './api.js';
import { element, replaceContent } from './element.js';
import { clearFieldErrors, invalidFields } from './fields.js';
import { showProblem } from './form-dialog.js';
import { t } from './i18n.js';
import { schemaFields } from './schema-fields.js';
import { toast } from './toast.js';

/** @typedef {Record<string, number>} Settings by their names in the API */

/**
 * @param {HTMLElement} container
 * @param {object} options
 * @param {string} options.name of the test ids: `‹name›-save`, `‹name›-error`
 * @param {string[]} options.settings which of them
 * @param {any} options.schema of all
 * @param {Settings} options.stored
 * @param {Record<string, (value: number) => string>} [options.meanings] what a value comes to, said under it
 */
export function settingsForm(container, { name, settings, schema, stored, meanings = {} }) {
  const fieldsNode = element('div', { class: 'form-row' });
  const problem = element('div', { class: 'notice notice-error', role: 'alert', hidden: true, 'data-testid': `${name}-error` });
  const save = element(
    'button',
    { type: 'submit', class: 'button button-primary', disabled: true, 'data-testid': `${name}-save` },
    t('Save'),
  );
  const form = element(
    'form',
    { class: 'form', novalidate: true, 'data-testid': `${name}-form` },
    fieldsNode,
    problem,
    element('div', { class: 'form-actions' }, save),
  );
  const properties = Object.fromEntries(settings.map((key) => [key, schema.properties[key]]));
  const fields = schemaFields(fieldsNode, { ...schema, properties }, stored, '');
  for (const control of form.querySelectorAll('input')) control.required = true;
  const notes = Object.entries(meanings).map(([key, meaning]) => ({ key, meaning, node: noteIn(form, key) }));
  let known = stored;

  const changed = () => Object.entries(fields.values()).filter(([key, value]) => value !== known[key]);

  function showState() {
    save.disabled = settings.every((key) => fields.values()[key] === known[key]);
    for (const { key, meaning, node } of notes) {
      const value = fields.values()[key];
      node.textContent = typeof value === 'number' ? meaning(value) : '';
    }
  }

  async function submit() {
    problem.hidden = true;
    clearFieldErrors(form);
    try {
      const wrong = invalidFields(form);
      if (Object.keys(wrong).length) {
        throw new ApiError(t('Please correct the marked fields.'), 400, 'invalid_input', wrong);
      }
      known = await put('/api/settings', Object.fromEntries(changed()));
      toast(t('The settings are saved.'));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showProblem(form, problem, error, {});
    }
    showState();
  }

  form.addEventListener('input', showState);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  showState();
  replaceContent(container, form);
}

/** A line under a field. @param {Element} form @param {string} key */
function noteIn(form, key) {
  const node = element('p', { class: 'field-hint tabular', 'data-testid': `meaning-${key}` });
  form.querySelector(`[data-field="${key}"] .field-error`)?.before(node);
  return node;
}
