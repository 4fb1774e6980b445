/** Asks every source for a coin now, and shows what each of them answered. */

import { post } from './api.js';
import { element, replaceContent } from './element.js';
import { errorText } from './error-words.js';
import { showFailure } from './failure.js';
import { NOTHING, formatPrice } from './format.js';
import { t } from './i18n.js';
import { sourceName } from './words.js';

/** @typedef {{ ok: boolean, price: number | null, symbol: string | null, error?: string | null, code?: string | null }} SourceAnswer */

/**
 * @param {import('./coin-facts.js').Coin} coin
 * @returns {Promise<void>} until the dialog is closed
 */
export function checkCoin(coin) {
  const answers = element('div', { class: 'check-answers', 'aria-live': 'polite', 'data-testid': 'check-answers' });
  const again = element('button', { type: 'button', class: 'button', 'data-testid': 'check-again' }, t('Check again'));
  const close = element(
    'button',
    { type: 'button', class: 'button button-primary', autofocus: true, 'data-testid': 'check-close' },
    t('Close window'),
  );
  const dialog = element(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'check-title', 'data-testid': 'check-dialog' },
    element('h2', { id: 'check-title' }, t('%(coin)s on the sources', { coin: coin.symbol })),
    answers,
    element('div', { class: 'dialog-actions' }, again, close),
  );

  async function check() {
    again.disabled = true;
    replaceContent(answers, element('p', { class: 'muted' }, t('Asking the sources…')));
    try {
      const answer = await post(`/api/coins/${coin.id}/check`);
      replaceContent(answers, answersTable(answer));
    } catch (error) {
      showFailure(answers, error, check);
    } finally {
      again.disabled = false;
    }
  }

  again.addEventListener('click', check);
  close.addEventListener('click', () => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  check();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve();
    });
  });
}

/** @param {Record<string, SourceAnswer>} answers by source */
function answersTable(answers) {
  const headings = [t('Source'), t('Symbol'), t('Answer'), t('Price')];
  return element(
    'table',
    { class: 'table check-table', 'aria-label': t('Answers of the sources') },
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        ...headings.map((text, at) => element('th', { scope: 'col', class: at === 3 && 'number' }, text)),
      ),
    ),
    element('tbody', {}, ...Object.entries(answers).map(([source, answer]) => answerRow(source, answer))),
  );
}

/**
 * @param {string} source
 * @param {SourceAnswer} answer
 */
function answerRow(source, { ok, price, symbol, error, code }) {
  return element(
    'tr',
    { 'data-testid': `check-${source}` },
    element('th', { scope: 'row' }, sourceName(source)),
    element('td', {}, symbol ?? NOTHING),
    element(
      'td',
      { class: 'check-answer' },
      element('span', { class: `badge ${ok ? 'badge-ok' : 'badge-error'}` }, ok ? t('Priced') : t('No price')),
      error ? element('span', { class: 'cell-error' }, errorText(code, error)) : null,
    ),
    element('td', { class: 'number' }, formatPrice(price)),
  );
}
