/** What can be done with a coin: edit, check on the sources, deactivate, reactivate. */

import { put, remove } from './api.js';
import { checkCoin } from './coin-check.js';
import { editCoin } from './coin-form.js';
import { confirmed } from './dialog.js';
import { element } from './element.js';
import { t } from './i18n.js';
import { toast, toastError } from './toast.js';

/** @typedef {import('./coin-facts.js').Coin} Coin */

/** @type {Record<string, (coin: Coin, categories: string[]) => Promise<boolean>>} each says whether something changed */
export const COIN_ACTIONS = {
  edit: async (coin, categories) => {
    const saved = await editCoin(categories, coin);
    if (saved) toast(t('%(coin)s is saved.', { coin: saved.symbol }));
    return saved !== null;
  },

  check: async (coin) => {
    await checkCoin(coin);
    return false;
  },

  deactivate: async (coin) => {
    const sure = await confirmed({
      title: t('Deactivate %(coin)s?', { coin: coin.symbol }),
      message: t(
        'It leaves the lists and no model opens a position in it any more. Where a model holds it, the position stays priced and can only be closed. It can be reactivated at any time.',
      ),
      confirmLabel: t('Deactivate'),
    });
    return (
      sure && attempt(() => remove(`/api/coins/${coin.id}`), t('%(coin)s is inactive now.', { coin: coin.symbol }))
    );
  },

  reactivate: (coin) =>
    attempt(
      () => put(`/api/coins/${coin.id}`, { is_active: true }),
      t('%(coin)s is active again.', { coin: coin.symbol }),
    ),
};

/** The buttons for a coin; who holds them listens for clicks on `data-action`. @param {Coin} coin */
export function coinButtons(coin) {
  return element(
    'div',
    { class: 'coin-actions' },
    button('edit', t('Edit'), coin),
    button('check', t('Check'), coin),
    coin.is_active ? button('deactivate', t('Deactivate'), coin) : button('reactivate', t('Reactivate'), coin),
  );
}

/**
 * @param {string} key
 * @param {string} label
 * @param {Coin} coin whose button it is, for screen readers
 */
function button(key, label, { symbol }) {
  const described = { 'aria-label': `${label}: ${symbol}`, 'data-action': key, 'data-testid': `coin-${key}` };
  return element('button', { type: 'button', class: 'button button-small', ...described }, label);
}

/**
 * @param {() => Promise<unknown>} action
 * @param {string} message when it is done
 */
async function attempt(action, message) {
  try {
    await action();
    toast(message);
    return true;
  } catch (error) {
    toastError(error);
    return false;
  }
}
