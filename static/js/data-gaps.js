/** The gaps of a stored series, one by one, and what closes them. */

import { element } from './element.js';
import { formatNumber, formatTime } from './format.js';
import { t } from './i18n.js';

const MOST_SHOWN = 200;

/**
 * @param {import('./data-coverage.js').Coverage} row
 * @returns {Promise<boolean>} whether they are to be filled
 */
export function showGaps({ coin, interval, gaps }) {
  const close = element('button', { type: 'button', class: 'button', autofocus: true, 'data-testid': 'gaps-close' }, t('Close window'));
  const fill = element('button', { type: 'button', class: 'button button-primary', 'data-testid': 'fill-gaps', hidden: gaps.every(({ asked }) => asked) }, t('Fetch what is missing'));
  const title = t('Gaps of %(coin)s %(interval)s', { coin, interval });
  const hidden = gaps.length - MOST_SHOWN;
  const dialog = element(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'gaps-title', 'data-testid': 'gaps-dialog' },
    element('h2', { id: 'gaps-title' }, title),
    element('p', { class: 'muted' }, t('An exchange that stood still has no candles of that time: such a gap stays.')),
    element('div', { class: 'gap-list', tabindex: 0, role: 'group', 'aria-label': title }, gapTable(gaps.slice(0, MOST_SHOWN), title)),
    hidden > 0 ? element('p', { class: 'muted' }, t('And %(count)s more.', { count: formatNumber(hidden) })) : null,
    element('div', { class: 'dialog-actions' }, close, fill),
  );
  let wanted = false;
  close.addEventListener('click', () => dialog.close());
  fill.addEventListener('click', () => {
    wanted = true;
    dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(wanted);
    });
  });
}

/**
 * @param {readonly import('./data-coverage.js').Gap[]} gaps
 * @param {string} title
 */
function gapTable(gaps, title) {
  const heading = (/** @type {string} */ label, /** @type {string} */ name = '') => element('th', { scope: 'col', class: name || null }, label);
  const rows = gaps.map(({ start, end, bars, asked }) =>
    element(
      'tr',
      { 'data-testid': 'gap-row' },
      element('td', {}, formatTime(start)),
      element('td', {}, formatTime(end)),
      element('td', { class: 'number' }, formatNumber(bars)),
      element('td', {}, asked ? t('the source has none') : t('not asked for yet')),
    ),
  );
  return element(
    'table',
    { class: 'table', 'aria-label': title },
    element('thead', {}, element('tr', {}, heading(t('From')), heading(t('To')), heading(t('Bars'), 'number'), heading(t('State')))),
    element('tbody', {}, ...rows),
  );
}
