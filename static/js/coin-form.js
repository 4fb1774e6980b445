/** The dialog in which a coin is added or edited. */

import { post, put } from './api.js';
import { element } from './element.js';
import { field } from './fields.js';
import { formDialog } from './form-dialog.js';
import { t } from './i18n.js';

/** @typedef {import('./coin-facts.js').Coin} Coin */

/**
 * @param {string[]} categories those that are proposed
 * @param {Coin} [coin] the one to edit; without it a new one is added
 * @returns {Promise<{ reactivated?: boolean, symbol: string } | null>} null when nothing was saved
 */
export function editCoin(categories, coin) {
  const controls = coinControls(coin);
  const proposals = element(
    'datalist',
    { id: 'coin-categories' },
    ...categories.map((value) => element('option', { value })),
  );
  controls.category.setAttribute('list', proposals.id);
  return formDialog({
    title: coin ? t('Edit %(name)s', { name: coin.symbol }) : t('Add coin'),
    name: 'coin',
    saveLabel: coin ? t('Save changes') : t('Add coin'),
    content: [...coinFields(controls), proposals],
    conflicts: { symbol_taken: 'symbol' },
    send: async () => {
      const body = coinBody(controls);
      const answer = coin ? await put(`/api/coins/${coin.id}`, body) : await post('/api/coins', body);
      return { ...answer, symbol: body.symbol };
    },
  });
}

/** @param {Coin} [coin] */
function coinControls(coin) {
  /** @param {string | null} [value] @param {Record<string, unknown>} [attributes] */
  const text = (value, attributes = {}) =>
    element('input', { class: 'input', autocomplete: 'off', spellcheck: 'false', value, ...attributes });
  return {
    symbol: text(coin?.symbol, { required: true, maxlength: 20, autocapitalize: 'characters', placeholder: 'BTC' }),
    name: text(coin?.name, { required: true, maxlength: 100, placeholder: 'Bitcoin' }),
    category: text(coin?.category, { maxlength: 50, placeholder: 'Layer1' }),
    market_cap_rank: text(coin?.market_cap_rank?.toString(), { type: 'number', inputmode: 'numeric', min: 1, step: 1 }),
    binance_symbol: text(coin?.binance_symbol, { maxlength: 20, autocapitalize: 'characters', placeholder: 'BTCUSDT' }),
    okx_symbol: text(coin?.okx_symbol, { maxlength: 20, autocapitalize: 'characters', placeholder: 'BTC-USDT' }),
    coingecko_id: text(coin?.coingecko_id, { maxlength: 50, autocapitalize: 'none', placeholder: 'bitcoin' }),
    notes: element('textarea', { class: 'textarea', rows: 3 }, coin?.notes ?? ''),
  };
}

/** @param {ReturnType<typeof coinControls>} controls */
function coinFields(controls) {
  return [
    element(
      'div',
      { class: 'form-row' },
      field({ name: 'symbol', label: t('Symbol'), control: controls.symbol }),
      field({ name: 'name', label: t('Name'), control: controls.name }),
    ),
    element(
      'div',
      { class: 'form-row' },
      field({ name: 'category', label: t('Category'), control: controls.category }),
      field({ name: 'market_cap_rank', label: t('Rank by market cap'), control: controls.market_cap_rank }),
    ),
    element(
      'fieldset',
      { class: 'fieldset' },
      element('legend', {}, t('What the sources call it')),
      element('p', { class: 'field-hint' }, t('Leave empty where a source does not have it.')),
      element(
        'div',
        { class: 'form-row' },
        field({ name: 'binance_symbol', label: t('Binance symbol'), control: controls.binance_symbol }),
        field({ name: 'okx_symbol', label: t('OKX symbol'), control: controls.okx_symbol }),
        field({ name: 'coingecko_id', label: t('CoinGecko ID'), control: controls.coingecko_id }),
      ),
    ),
    field({ name: 'notes', label: t('Notes'), control: controls.notes }),
  ];
}

/** Empty fields are nothing. @param {ReturnType<typeof coinControls>} controls */
function coinBody(controls) {
  /** @param {{ value: string }} control */
  const filled = ({ value }) => value.trim() || null;
  const rank = filled(controls.market_cap_rank);
  return {
    symbol: controls.symbol.value.trim().toUpperCase(),
    name: controls.name.value.trim(),
    category: filled(controls.category),
    binance_symbol: filled(controls.binance_symbol)?.toUpperCase() ?? null,
    okx_symbol: filled(controls.okx_symbol)?.toUpperCase() ?? null,
    coingecko_id: filled(controls.coingecko_id),
    market_cap_rank: rank === null ? null : Number(rank),
    notes: filled(controls.notes),
  };
}
