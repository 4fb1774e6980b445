/** What a provider's models cost and until when they know the world: a row a model, edited in its form. */

import { element, replaceContent } from './element.js';
import { t } from './i18n.js';

/** @typedef {{ input: number | null, output: number | null, cached: number | null }} Prices */

const LIST_ID = 'priced-models';
const KINDS = /** @type {const} */ (['input', 'output', 'cached']);

/**
 * @param {Record<string, Prices>} prices by model
 * @param {Record<string, string>} cutoffs by model
 * @param {() => string[]} names the models to choose from
 */
export function priceEditor(prices, cutoffs, names) {
  const rows = element('div', { class: 'form price-rows', 'data-testid': 'price-rows' });
  const proposals = element('datalist', { id: LIST_ID });
  const add = element(
    'button',
    { type: 'button', class: 'button button-small', 'data-testid': 'add-price' },
    t('Add a model’s prices'),
  );
  add.addEventListener('click', () => {
    const row = priceRow(nextUnpriced(), {}, '');
    rows.append(row);
    row.querySelector('input')?.focus();
  });
  const known = new Set([...Object.keys(prices), ...Object.keys(cutoffs)]);
  rows.append(...[...known].map((name) => priceRow(name, prices[name] ?? {}, cutoffs[name] ?? '')));
  rows.addEventListener('focusin', () => {
    replaceContent(proposals, ...names().map((value) => element('option', { value })));
  });

  function nextUnpriced() {
    const priced = new Set(readRows(rows).map(({ name }) => name));
    return names().find((name) => !priced.has(name)) ?? '';
  }

  const node = element(
    'fieldset',
    { class: 'fieldset', 'data-field': 'prices' },
    element('legend', {}, t('Prices (USD per million tokens)')),
    element('p', { class: 'field-hint' }, t('Costs and money budgets are counted from these; leave empty what you do not know.')),
    rows,
    proposals,
    element('div', {}, add),
    element('p', { class: 'field-error', 'data-testid': 'error-prices' }),
  );
  return {
    node,
    /** @returns {{ prices: Record<string, Partial<Prices>>, knowledge_cutoffs: Record<string, string> }} */
    values() {
      const filled = readRows(rows).filter(({ name }) => name);
      return {
        prices: Object.fromEntries(filled.map(({ name, amounts }) => [name, amounts])),
        knowledge_cutoffs: Object.fromEntries(
          filled.filter(({ cutoff }) => cutoff).map(({ name, cutoff }) => [name, cutoff]),
        ),
      };
    },
  };
}

/**
 * @param {string} name
 * @param {Partial<Prices>} amounts
 * @param {string} cutoff
 */
function priceRow(name, amounts, cutoff) {
  const labels = { input: t('Input'), output: t('Output'), cached: t('Cached input') };
  const remove = element(
    'button',
    { type: 'button', class: 'button button-quiet button-icon', 'aria-label': t('Remove'), title: t('Remove') },
    '×',
  );
  const row = element(
    'div',
    { class: 'price-row', 'data-testid': 'price-row' },
    labelled(t('Model'), 'price-name', { value: name, list: LIST_ID, maxlength: 200 }),
    ...KINDS.map((kind) =>
      labelled(labels[kind], `price-${kind}`, {
        type: 'number',
        min: 0,
        max: 1_000_000,
        step: 'any',
        inputmode: 'decimal',
        value: amounts[kind],
      }),
    ),
    labelled(t('Knows until'), 'price-cutoff', { value: cutoff, placeholder: '2025-06', maxlength: 10 }),
    remove,
  );
  remove.addEventListener('click', () => row.remove());
  return row;
}

/**
 * @param {string} label
 * @param {string} part
 * @param {Record<string, unknown>} attributes
 */
function labelled(label, part, attributes) {
  const described = { class: 'input', autocomplete: 'off', spellcheck: 'false', 'data-testid': part };
  return element(
    'label',
    { class: 'price-part' },
    element('span', { class: 'field-label' }, label),
    element('input', { ...described, ...attributes }),
  );
}

/** @param {HTMLElement} rows */
function readRows(rows) {
  return [...rows.children].map((row) => {
    /** @param {string} part */
    const text = (part) =>
      /** @type {HTMLInputElement} */ (row.querySelector(`[data-testid="${part}"]`)).value.trim();
    const amounts = KINDS.map((kind) => /** @type {const} */ ([kind, text(`price-${kind}`)]));
    return {
      name: text('price-name'),
      cutoff: text('price-cutoff'),
      amounts: Object.fromEntries(amounts.map(([kind, amount]) => [kind, amount === '' ? null : Number(amount)])),
    };
  });
}
