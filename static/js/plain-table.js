/** A small table that only stands there: of what belongs to one thing, in the order in which it came about. */

import { element } from './element.js';

/**
 * @param {string} testId
 * @param {string[]} headings
 * @param {import('./element.js').Child[][]} rows
 * @param {number} [marked] the row that stands out
 */
export function plainTable(testId, headings, rows, marked) {
  return element(
    'div',
    { class: 'table-scroll', tabindex: '0', role: 'group' },
    element(
      'table',
      { class: 'table', 'data-testid': testId },
      element('thead', {}, element('tr', {}, ...headings.map((text) => element('th', { scope: 'col' }, text)))),
      element(
        'tbody',
        {},
        ...rows.map((cells, index) =>
          element('tr', { class: index === marked ? 'row-marked' : null }, ...cells.map((cell) => element('td', {}, cell))),
        ),
      ),
    ),
  );
}
