/**
 * Fields of forms: label, control, hint and error, tied together for screen readers.
 * A field is found by `data-field`, under the name that the API calls it in its `fields`.
 */

import { element, replaceContent } from './element.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */

let fieldCount = 0;

/**
 * @param {object} parts
 * @param {string} parts.name
 * @param {string} parts.label
 * @param {Control} parts.control
 * @param {string} [parts.hint]
 */
export function field({ name, label, control, hint }) {
  const id = `field-${++fieldCount}`;
  control.id = id;
  control.name = name;
  control.setAttribute('aria-describedby', hint ? `${id}-hint ${id}-error` : `${id}-error`);
  control.dataset['testid'] = `field-${name}`;
  const isCheckbox = control.type === 'checkbox';
  const labelled = isCheckbox
    ? [element('label', { class: 'checkbox', for: id }, control, label)]
    : [element('label', { for: id }, label), control];
  return element(
    'div',
    { class: 'field', 'data-field': name },
    ...labelled,
    hint ? element('p', { class: 'field-hint', id: `${id}-hint` }, hint) : null,
    element('p', { class: 'field-error', id: `${id}-error`, 'data-testid': `error-${name}` }),
  );
}

/**
 * @param {Record<string, string>} choices value: label
 * @param {string} [chosen]
 */
export function select(choices, chosen) {
  const options = Object.entries(choices).map(([value, label]) =>
    element('option', { value, selected: value === chosen }, label),
  );
  return element('select', { class: 'select' }, ...options);
}

/** @param {Element} form */
export function clearFieldErrors(form) {
  for (const node of form.querySelectorAll('.field-error')) node.textContent = '';
  for (const node of form.querySelectorAll('[aria-invalid]')) node.removeAttribute('aria-invalid');
}

/**
 * Puts each reason under its field and the focus into the first of them.
 *
 * @param {Element} form
 * @param {Record<string, string>} fields
 * @returns {Record<string, string>} those for which the form has no field
 */
export function showFieldErrors(form, fields) {
  clearFieldErrors(form);
  /** @type {Record<string, string>} */
  const homeless = {};
  for (const [name, reason] of Object.entries(fields)) {
    const node = fieldNamed(form, name);
    if (!node) {
      homeless[name] = reason;
      continue;
    }
    replaceContent(/** @type {Element} */ (node.querySelector('.field-error')), reason);
    node.querySelector('input, select, textarea')?.setAttribute('aria-invalid', 'true');
    node.closest('details')?.setAttribute('open', '');
  }
  /** @type {HTMLElement | null} */ (form.querySelector('[aria-invalid]'))?.focus();
  return homeless;
}

/**
 * A reason inside of something (`params.decisions.0.coin`) belongs to the field that holds it.
 *
 * @param {Element} form
 * @param {string} name
 * @returns {Element | null}
 */
function fieldNamed(form, name) {
  for (const candidate of [name, `params.${name}`]) {
    const found = form.querySelector(`[data-field="${CSS.escape(candidate)}"]`);
    if (found) return found;
  }
  return name.includes('.') ? fieldNamed(form, name.slice(0, name.lastIndexOf('.'))) : null;
}

/**
 * What the controls themselves can tell to be wrong, in the page's language.
 *
 * @param {Element} form
 * @returns {Record<string, string>}
 */
export function invalidFields(form) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const control of /** @type {NodeListOf<Control>} */ (form.querySelectorAll('input, select, textarea'))) {
    const name = /** @type {HTMLElement | null} */ (control.closest('[data-field]'))?.dataset['field'];
    const reason = control.disabled ? null : whyInvalid(control);
    if (name && reason) fields[name] = reason;
  }
  return fields;
}

/** @param {Control} control @returns {string | null} */
function whyInvalid(control) {
  const { validity } = control;
  if (validity.badInput) return t('This must be a number.');
  if (validity.valueMissing) return t('This is needed.');
  if (!(control instanceof HTMLInputElement)) return null;
  const above = control.dataset['above'];
  if (above && control.value !== '' && Number(control.value) <= Number(above)) {
    return t('This must be more than %(limit)s.', { limit: formatLimit(above) });
  }
  if (validity.rangeUnderflow) return t('This must be at least %(limit)s.', { limit: formatLimit(control.min) });
  if (validity.rangeOverflow) return t('This must be at most %(limit)s.', { limit: formatLimit(control.max) });
  if (validity.stepMismatch) return t('This must be a whole number.');
  return null;
}

/** @param {string} limit */
const formatLimit = (limit) => formatNumber(Number(limit), limit.split('.')[1]?.length ?? 0);
