/** The dialog in which a provider of language models is added or edited. A stored key never comes to the page. */

import { ApiError, post, put } from './api.js';
import { element, replaceContent, setText } from './element.js';
import { field } from './fields.js';
import { formDialog } from './form-dialog.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';
import { priceEditor } from './provider-prices.js';

/**
 * @typedef {object} Provider
 * @property {number} id
 * @property {string} name
 * @property {string} api_url
 * @property {boolean} api_key_set
 * @property {string | null} api_key_last_four
 * @property {string | null} api_key_error
 * @property {string[]} models
 * @property {Record<string, { input: number | null, output: number | null, cached: number | null }>} prices
 * @property {Record<string, string>} knowledge_cutoffs
 * @property {number} used_by
 */

/** Addresses of well-known providers, proposed and not required. */
const KNOWN_ADDRESSES = [
  'https://api.openai.com/v1',
  'https://api.deepseek.com/v1',
  'https://openrouter.ai/api/v1',
  'https://dashscope.aliyuncs.com/compatible-mode/v1',
  'https://api.moonshot.cn/v1',
  'https://open.bigmodel.cn/api/paas/v4',
  'https://api.x.ai/v1',
  'https://generativelanguage.googleapis.com/v1beta/openai',
  'http://localhost:11434/v1',
];

/**
 * @param {Provider} [provider] the one to edit; without it a new one is added
 * @returns {Promise<{ name: string } | null>} null when nothing was saved
 */
export function editProvider(provider) {
  const controls = providerControls(provider);
  const addresses = element(
    'datalist',
    { id: 'provider-addresses' },
    ...KNOWN_ADDRESSES.map((value) => element('option', { value })),
  );
  controls.api_url.setAttribute('list', addresses.id);
  const prices = priceEditor(provider?.prices ?? {}, provider?.knowledge_cutoffs ?? {}, () => modelNames(controls));
  return formDialog({
    title: provider ? t('Edit %(name)s', { name: provider.name }) : t('Add provider'),
    name: 'provider',
    saveLabel: provider ? t('Save changes') : t('Add provider'),
    content: [
      element(
        'div',
        { class: 'form-row' },
        field({ name: 'name', label: t('Name'), control: controls.name }),
        field({
          name: 'api_url',
          label: t('API address'),
          control: controls.api_url,
          hint: t('The base of an OpenAI-compatible API; it mostly ends with /v1.'),
        }),
      ),
      addresses,
      field({ name: 'api_key', label: t('API key'), control: controls.api_key, hint: keyHint(provider) }),
      provider?.api_key_set
        ? field({ name: 'forget_key', label: t('Forget the stored key'), control: controls.forget_key })
        : null,
      modelsField(controls, provider),
      prices.node,
    ],
    conflicts: { name_taken: 'name' },
    send: async () => {
      const body = { ...providerBody(controls), ...prices.values() };
      await (provider ? put(`/api/providers/${provider.id}`, body) : post('/api/providers', body));
      return { name: body.name };
    },
  });
}

/** @param {Provider} [provider] */
function providerControls(provider) {
  /** @param {string} [value] @param {Record<string, unknown>} [attributes] */
  const text = (value, attributes = {}) =>
    element('input', { class: 'input', autocomplete: 'off', spellcheck: 'false', value, ...attributes });
  return {
    name: text(provider?.name, { required: true, maxlength: 100, placeholder: 'DeepSeek' }),
    api_url: text(provider?.api_url, {
      required: true,
      maxlength: 500,
      inputmode: 'url',
      autocapitalize: 'none',
      placeholder: 'https://api.deepseek.com/v1',
    }),
    api_key: text('', { type: 'password', maxlength: 1000, autocomplete: 'new-password' }),
    forget_key: element('input', { type: 'checkbox' }),
    models: element(
      'textarea',
      { class: 'textarea code', rows: 6, spellcheck: 'false', autocapitalize: 'none' },
      provider?.models.join('\n') ?? '',
    ),
  };
}

/** @param {Provider} [provider] */
function keyHint(provider) {
  if (provider?.api_key_error) return provider.api_key_error;
  if (provider?.api_key_set) return t('A key is stored (%(key)s). Leave empty to keep it.', { key: keyText(provider) });
  return t('It is stored encrypted and never shown again. Leave empty where none is needed.');
}

/** What may be seen of a stored key. @param {Provider} provider */
export function keyText({ api_key_last_four: end }) {
  return `••••${end ?? ''}`;
}

/**
 * @param {ReturnType<typeof providerControls>} controls
 * @param {Provider} [provider]
 */
function modelsField(controls, provider) {
  const said = element('span', { class: 'field-hint', role: 'status', 'data-testid': 'fetch-models-result' });
  const fetchButton = element(
    'button',
    { type: 'button', class: 'button button-small', 'data-testid': 'fetch-models' },
    t('Fetch models'),
  );
  fetchButton.addEventListener('click', async () => {
    fetchButton.disabled = true;
    setText(said, t('Asking the provider…'));
    try {
      const { models } = await post('/api/providers/models', question(controls, provider));
      controls.models.value = models.join('\n');
      controls.models.dispatchEvent(new Event('input'));
      said.className = 'field-hint';
      setText(said, t('Models found: %(count)s. Keep those that you want, one per line.', { count: formatNumber(models.length) }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      said.className = 'field-error';
      replaceContent(said, error.message);
    } finally {
      fetchButton.disabled = false;
    }
  });
  return element(
    'div',
    { class: 'form provider-models' },
    field({ name: 'models', label: t('Models (one per line)'), control: controls.models }),
    element('div', { class: 'toolbar' }, fetchButton, said),
  );
}

/**
 * Whose models: with the stored key only where the stored address is asked.
 *
 * @param {ReturnType<typeof providerControls>} controls
 * @param {Provider} [provider]
 */
function question({ api_url, api_key }, provider) {
  const address = api_url.value.trim();
  const key = api_key.value.trim();
  if (provider && !key && address === provider.api_url) return { provider_id: provider.id };
  return { api_url: address, ...(key ? { api_key: key } : {}) };
}

/** @param {ReturnType<typeof providerControls>} controls */
function providerBody(controls) {
  const key = controls.api_key.value.trim();
  /** @type {{ api_key?: string | null }} */
  const keyChange = {};
  if (key) keyChange.api_key = key;
  else if (controls.forget_key.checked) keyChange.api_key = null;
  return {
    name: controls.name.value.trim(),
    api_url: controls.api_url.value.trim(),
    models: modelNames(controls),
    ...keyChange,
  };
}

/** @param {ReturnType<typeof providerControls>} controls */
function modelNames({ models }) {
  const names = models.value.split('\n').map((line) => line.trim());
  return [...new Set(names.filter(Boolean))];
}
