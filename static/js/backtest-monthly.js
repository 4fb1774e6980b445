/** Returns by month as a heat map: a row a year, a column a month. */

import { element, replaceContent } from './element.js';
import { formatNumber, formatPercent } from './format.js';
import { languageTag, t } from './i18n.js';

const STEPS = 5;

/**
 * @param {HTMLElement} container
 * @param {readonly { month: string, return_percentage: number }[]} months `YYYY-MM`, ascending
 */
export function showMonthlyReturns(container, months) {
  const returns = new Map(months.map(({ month, return_percentage: percent }) => [month, percent]));
  const years = [...new Set(months.map(({ month }) => month.slice(0, 4)))];
  const largest = Math.max(...months.map(({ return_percentage: percent }) => Math.abs(percent)), 0);
  const monthName = new Intl.DateTimeFormat(languageTag, { month: 'short', timeZone: 'UTC' });
  const columns = Array.from({ length: 12 }, (_, index) => String(index + 1).padStart(2, '0'));
  const head = columns.map((month) => element('th', { scope: 'col' }, monthName.format(Date.parse(`2000-${month}-01`))));
  const rows = years.map((year) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, year),
      ...columns.map((month) => monthCell(`${year}-${month}`, returns.get(`${year}-${month}`), largest)),
      element('td', { class: 'heat-year' }, formatPercent(yearReturn(year, columns, returns))),
    ),
  );
  const table = element(
    'table',
    { class: 'heat-map', 'aria-label': t('Return by month'), 'data-testid': 'monthly-returns' },
    element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, t('Year')), ...head, element('th', { scope: 'col' }, t('Whole year')))),
    element('tbody', {}, ...rows),
  );
  replaceContent(container, element('div', { class: 'table-scroll heat-frame', tabindex: 0 }, table));
}

/**
 * @param {string} month
 * @param {number | undefined} percent
 * @param {number} largest
 */
function monthCell(month, percent, largest) {
  if (percent === undefined) return element('td', { class: 'heat-none' });
  const strength = largest ? Math.ceil((STEPS * Math.abs(percent)) / largest) : 0;
  const side = percent < 0 ? 'down' : 'up';
  const heat = strength ? `heat-${side} heat-${strength}` : '';
  return element('td', { class: heat, title: `${month} ${formatPercent(percent)}`, 'data-testid': `month-${month}` }, formatNumber(percent, 1));
}

/**
 * @param {string} year
 * @param {readonly string[]} columns
 * @param {ReadonlyMap<string, number>} returns
 */
function yearReturn(year, columns, returns) {
  const growth = columns.reduce((product, month) => product * (1 + (returns.get(`${year}-${month}`) ?? 0) / 100), 1);
  return (growth - 1) * 100;
}
