/**
 * Fields made from a JSON Schema, as pydantic writes it for a trader's parameters.
 *
 *     const fields = schemaFields(byId('params'), trader.params_schema, model.params);
 *     await post('/api/models', { params: fields.values() });
 *
 * Numbers, whole numbers, switches, choices, several of some choices, and text get their own
 * controls; anything deeper is edited as JSON. What may be null is null where its field is empty.
 */

import { ApiError } from './api.js';
import { element, replaceContent } from './element.js';
import { field, select } from './fields.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';

/**
 * @param {Element} container emptied first
 * @param {any} schema of an object
 * @param {Record<string, unknown>} [current] else each property's default
 * @param {string} [prefix] under which the API names the fields
 * @param {Record<string, Record<string, string>>} [labels] of a property's choices, by its name
 * @returns {{ values: () => Record<string, unknown> }} what is filled in, of which empty fields are
 *   left out; ApiError where JSON is not valid
 */
export function schemaFields(container, schema, current = {}, prefix = 'params.', labels = {}) {
  const properties = Object.entries(schema.properties ?? {}).map(([name, given]) => {
    const property = resolved(given, schema);
    const value = name in current ? current[name] : property.default;
    return propertyField(name, property, value, prefix, labels[name] ?? {});
  });
  replaceContent(container, ...properties.map(({ node }) => node));
  return {
    values: () =>
      Object.fromEntries(properties.map(({ name, read }) => [name, read()]).filter(([, value]) => value !== undefined)),
  };
}

/**
 * @param {any} property
 * @param {any} schema
 * @returns {any}
 */
function resolved(property, schema) {
  const kinds = property.anyOf?.filter((/** @type {any} */ { type }) => type !== 'null');
  if (kinds) return { nullable: kinds.length < property.anyOf.length, ...kinds[0], ...property };
  if (property.items?.$ref) return { ...property, items: resolved(property.items, schema) };
  const reference = property.$ref ?? property.allOf?.[0]?.$ref;
  if (!reference) return property;
  return { ...schema.$defs?.[reference.split('/').at(-1)], ...property };
}

/**
 * @param {string} name
 * @param {any} property
 * @param {any} value
 * @param {string} prefix
 * @param {Record<string, string>} labels
 */
function propertyField(name, property, value, prefix, labels) {
  if (property.items?.enum) return choicesField(name, property, value, prefix, labels);
  const { control, read } = controlFor(name, property, value, prefix, labels);
  const hint = [property.description ? t(property.description) : '', rangeText(property)].filter(Boolean).join(' · ');
  return { name, read, node: field({ name: prefix + name, label: t(property.title ?? name), control, hint }) };
}

/**
 * Several of some choices, each a button that is on or off.
 *
 * @param {string} name
 * @param {any} property
 * @param {any} value
 * @param {string} prefix
 * @param {Record<string, string>} labels
 */
function choicesField(name, property, value, prefix, labels) {
  const chosen = new Set(value ?? []);
  const buttons = property.items.enum.map((/** @type {string} */ choice) =>
    element(
      'button',
      {
        type: 'button',
        class: 'chip',
        value: choice,
        'aria-pressed': String(chosen.has(choice)),
        'data-testid': `choice-${name}-${choice}`,
        onclick: (/** @type {Event} */ event) => {
          const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
          button.setAttribute('aria-pressed', String(button.getAttribute('aria-pressed') !== 'true'));
          button.dispatchEvent(new Event('change', { bubbles: true }));
        },
      },
      labels[choice] ?? choice,
    ),
  );
  const node = element(
    'div',
    { class: 'field field-wide', 'data-field': prefix + name, role: 'group', 'aria-label': t(property.title ?? name) },
    element('span', { class: 'field-label' }, t(property.title ?? name)),
    element('div', { class: 'chips' }, ...buttons),
    property.description ? element('p', { class: 'field-hint' }, t(property.description)) : null,
    element('p', { class: 'field-error', 'data-testid': `error-${prefix + name}` }),
  );
  const read = () =>
    [...node.querySelectorAll('button[aria-pressed="true"]')].map((button) => /** @type {HTMLButtonElement} */ (button).value);
  return { name, read, node };
}

/**
 * @param {string} name
 * @param {any} property
 * @param {any} value
 * @param {string} prefix
 * @param {Record<string, string>} labels
 * @returns {{ control: import('./fields.js').Control, read: () => unknown }}
 */
function controlFor(name, property, value, prefix, labels) {
  if (property.enum) {
    const choices = Object.fromEntries(
      property.enum.map((/** @type {string} */ choice) => [choice, labels[choice] ?? t(choice)]),
    );
    const control = select(choices, value);
    return { control, read: () => control.value };
  }
  if (property.type === 'boolean') {
    const control = element('input', { type: 'checkbox', checked: value === true });
    return { control, read: () => control.checked };
  }
  if (property.type === 'number' || property.type === 'integer') return numberControl(property, value);
  if (property.type === 'string') {
    const control = element('input', { class: 'input', type: 'text', maxlength: property.maxLength, value });
    return { control, read: () => control.value || undefined };
  }
  const text = value === undefined ? '' : JSON.stringify(value, null, 2);
  const control = element('textarea', { class: 'textarea code', rows: 6, spellcheck: 'false' }, text);
  return { control, read: () => parsed(control.value, prefix + name) };
}

/**
 * @param {any} property
 * @param {any} value
 */
function numberControl(property, value) {
  const control = element('input', {
    class: 'input',
    type: 'number',
    inputmode: 'decimal',
    step: property.type === 'integer' ? 1 : 'any',
    min: property.minimum,
    max: property.maximum,
    'data-above': property.exclusiveMinimum,
    value,
  });
  const empty = property.nullable ? null : undefined;
  return { control, read: () => (control.value === '' ? empty : Number(control.value)) };
}

/**
 * @param {string} text
 * @param {string} name
 */
function parsed(text, name) {
  if (!text.trim()) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    const reason = t('This is not valid JSON.');
    throw new ApiError(reason, 400, 'invalid_input', { [name]: reason });
  }
}

/** @param {any} property */
function rangeText({ minimum, exclusiveMinimum, maximum }) {
  if (maximum === undefined) return '';
  const high = rangeEnd(maximum);
  if (minimum !== undefined) return t('%(low)s to %(high)s', { low: rangeEnd(minimum), high });
  if (exclusiveMinimum === undefined) return '';
  return t('above %(low)s, at most %(high)s', { low: rangeEnd(exclusiveMinimum), high });
}

/** @param {number} end */
const rangeEnd = (end) => formatNumber(end, String(end).split('.')[1]?.length ?? 0);
