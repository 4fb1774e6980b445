/** A form in a dialog: sends, shows under its fields what the API refuses, and closes when it was taken. */

import { ApiError } from './api.js';
import { element, replaceContent } from './element.js';
import { clearFieldErrors, invalidFields, showFieldErrors } from './fields.js';
import { t } from './i18n.js';

/**
 * @template Answer
 * @param {object} options
 * @param {string} options.title
 * @param {string} options.name of the test ids: `‹name›-dialog`, `‹name›-save`, `‹name›-cancel`
 * @param {string} options.saveLabel
 * @param {import('./element.js').Child[]} options.content
 * @param {() => Promise<Answer>} options.send
 * @param {Record<string, string>} [options.conflicts] the field to which an error's code belongs
 * @returns {Promise<Answer | null>} null when nothing was sent
 */
export function formDialog({ title, name, saveLabel, content, send, conflicts = {} }) {
  const problem = element('div', {
    class: 'notice notice-error',
    role: 'alert',
    hidden: true,
    'data-testid': 'form-error',
  });
  const cancel = element('button', { type: 'button', class: 'button', 'data-testid': `${name}-cancel` }, t('Cancel'));
  const save = element(
    'button',
    { type: 'submit', class: 'button button-primary', 'data-testid': `${name}-save` },
    saveLabel,
  );
  const form = element(
    'form',
    { class: 'form', novalidate: true },
    ...content,
    problem,
    element('div', { class: 'dialog-actions' }, cancel, save),
  );
  const dialog = element(
    'dialog',
    { class: 'dialog dialog-wide', 'aria-labelledby': `${name}-dialog-title`, 'data-testid': `${name}-dialog` },
    element('h2', { id: `${name}-dialog-title` }, title),
    form,
  );
  /** @type {Answer | null} */
  let answer = null;

  async function submit() {
    problem.hidden = true;
    clearFieldErrors(form);
    save.disabled = true;
    try {
      const fields = invalidFields(form);
      if (Object.keys(fields).length) {
        throw new ApiError(t('Please correct the marked fields.'), 400, 'invalid_input', fields);
      }
      answer = await send();
      dialog.close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showProblem(form, problem, error, conflicts);
    } finally {
      save.disabled = false;
    }
  }

  cancel.addEventListener('click', () => dialog.close());
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(answer);
    });
  });
}

/**
 * Says what was refused: under the fields, and what has none in `problem`.
 *
 * @param {HTMLElement} form
 * @param {HTMLElement} problem
 * @param {ApiError} error
 * @param {Record<string, string>} conflicts the field to which an error's code belongs
 */
export function showProblem(form, problem, error, conflicts) {
  const taken = conflicts[error.code];
  const homeless = showFieldErrors(form, taken ? { [taken]: error.message } : error.fields);
  const more = Object.entries(homeless).map(([name, reason]) => element('span', {}, `${name}: ${reason}`));
  replaceContent(problem, error.message, ...more);
  problem.hidden = false;
  if (!form.querySelector('[aria-invalid]')) problem.scrollIntoView({ block: 'nearest' });
}
