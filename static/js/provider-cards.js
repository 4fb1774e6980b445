/** The providers of language models on the Models page: what is known of each, test, edit, delete. */

import { get, post, remove } from './api.js';
import { confirmed } from './dialog.js';
import { byId, element, replaceContent } from './element.js';
import { errorText } from './error-words.js';
import { emptyState, showFailure } from './failure.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';
import { editProvider, keyText } from './provider-form.js';
import { toast, toastError } from './toast.js';

/** @typedef {import('./provider-form.js').Provider} Provider */
/** @typedef {{ ok: boolean, latency_ms: number, model: string, error?: string, code?: string }} TestResult */

const MODELS_NAMED = 4;

/** @type {Provider[]} */
let providers = [];
/** What the last test of each said. @type {Map<number, TestResult | 'running'>} */
const tests = new Map();

export async function loadProviders() {
  try {
    providers = await get('/api/providers');
    show();
  } catch (error) {
    showFailure(byId('providers'), error, loadProviders);
  }
}

function show() {
  const list = element('ul', { class: 'card-grid provider-cards' }, ...providers.map(card));
  replaceContent(byId('providers'), providers.length ? list : nothingYet());
}

function nothingYet() {
  const add = element(
    'button',
    { type: 'button', class: 'button', onclick: () => edit(), 'data-testid': 'add-first-provider' },
    t('Add provider'),
  );
  return emptyState(
    t('No providers yet. A model that asks an LLM needs one: any OpenAI-compatible API, also one on this computer.'),
    add,
  );
}

/** @param {Provider} provider */
function card(provider) {
  return element(
    'li',
    { class: 'card card-compact', 'data-key': provider.id, 'data-testid': 'provider-card' },
    element(
      'div',
      { class: 'provider-head' },
      element('h3', { class: 'card-name' }, provider.name),
      element('span', { class: 'muted' }, usersText(provider.used_by)),
    ),
    factList(provider),
    testLine(tests.get(provider.id)),
    buttons(provider),
  );
}

/** @param {Provider} provider */
function factList(provider) {
  /** @type {[string, import('./element.js').Child][]} */
  const facts = [
    [t('Address'), element('span', { class: 'code' }, provider.api_url)],
    [t('Key'), keyNode(provider)],
    [t('Models'), modelsText(provider.models)],
  ];
  return element(
    'dl',
    { class: 'details' },
    ...facts.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]),
  );
}

/** @param {Provider} provider */
function keyNode(provider) {
  if (provider.api_key_error) return element('span', { class: 'field-error' }, provider.api_key_error);
  if (!provider.api_key_set) return element('span', { class: 'muted' }, t('none'));
  return element('span', { class: 'code', 'data-testid': 'provider-key' }, keyText(provider));
}

/** @param {string[]} names */
function modelsText(names) {
  if (names.length === 0) return element('span', { class: 'muted' }, t('none yet'));
  const more = names.length > MODELS_NAMED ? ` +${formatNumber(names.length - MODELS_NAMED)}` : '';
  return element('span', { title: names.slice(0, 40).join('\n') }, names.slice(0, MODELS_NAMED).join(', ') + more);
}

/** @param {number} count */
const usersText = (count) =>
  count ? t('Used by models: %(count)s', { count: formatNumber(count) }) : t('Not used by any model');

/** @param {TestResult | 'running' | undefined} result */
function testLine(result) {
  if (!result) return null;
  if (result === 'running') return element('p', { class: 'field-hint', role: 'status' }, t('Asking the provider…'));
  const { ok, latency_ms, model, error, code } = result;
  const text = ok
    ? t('%(model)s answered in %(time)s ms.', { model, time: formatNumber(latency_ms) })
    : t('%(model)s did not answer: %(reason)s', { model, reason: errorText(code, error ?? '') });
  return element('p', { class: `notice ${ok ? 'notice-ok' : 'notice-error'}`, role: 'status', 'data-testid': 'provider-test-result' }, text);
}

/** @param {Provider} provider */
function buttons(provider) {
  const running = tests.get(provider.id) === 'running';
  return element(
    'div',
    { class: 'form-actions' },
    button('test', t('Test'), provider.name, { disabled: running }),
    button('edit', t('Edit'), provider.name),
    button('delete', t('Delete'), provider.name),
  );
}

/**
 * @param {string} key
 * @param {string} label
 * @param {string} name
 * @param {Record<string, unknown>} [attributes]
 */
function button(key, label, name, attributes = {}) {
  const described = { 'aria-label': `${label}: ${name}`, 'data-action': key, 'data-testid': `provider-${key}` };
  return element('button', { type: 'button', class: 'button button-small', ...described, ...attributes }, label);
}

/** @param {Provider} [provider] */
async function edit(provider) {
  const saved = await editProvider(provider);
  if (!saved) return;
  if (provider) tests.delete(provider.id);
  toast(t('%(name)s is saved.', { name: saved.name }));
  await loadProviders();
}

/** @param {Provider} provider */
async function test(provider) {
  tests.set(provider.id, 'running');
  show();
  try {
    tests.set(provider.id, await post(`/api/providers/${provider.id}/test`));
  } catch (error) {
    tests.delete(provider.id);
    toastError(error);
  }
  show();
}

/** @param {Provider} provider */
async function deleteProvider(provider) {
  const sure = await confirmed({
    title: t('Delete %(name)s?', { name: provider.name }),
    message: t('Its address, prices and key are deleted. Archived models keep their history without it.'),
    confirmLabel: t('Delete'),
  });
  if (!sure) return;
  try {
    await remove(`/api/providers/${provider.id}`);
    toast(t('%(name)s is deleted.', { name: provider.name }));
    await loadProviders();
  } catch (error) {
    toastError(error);
  }
}

/** Listens to the cards and to the button that adds one. */
export function startProviders() {
  byId('add-provider').addEventListener('click', () => edit());
  byId('providers').addEventListener('click', async (event) => {
    const pressed = /** @type {HTMLElement} */ (event.target).closest('button');
    const id = /** @type {HTMLElement | null | undefined} */ (pressed?.closest('[data-key]'))?.dataset['key'];
    const provider = providers.find((one) => String(one.id) === id);
    if (!pressed || !provider) return;
    const action = pressed.dataset['action'];
    if (action === 'test') await test(provider);
    else if (action === 'edit') await edit(provider);
    else if (action === 'delete') await deleteProvider(provider);
  });
  loadProviders();
}
