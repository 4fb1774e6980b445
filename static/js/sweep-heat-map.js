/** The combinations of a search as a table of colours: two parameters, one figure. */

import { element, replaceContent } from './element.js';
import { formatNumber, isNumber, NOTHING } from './format.js';
import { t } from './i18n.js';
import { axisLabel, axisValue } from './sweep-axes.js';

const STEPS = 5;
const MOST_VALUES = 60;

/** @typedef {Record<string, any>} Row of a search's result */

/**
 * @param {HTMLElement} container
 * @param {readonly Row[]} rows
 * @param {{ across: string, down: string | null, figure: string, label: string }} choice names of
 *   parameters (`down` is null where only one varies) and of the figure
 * @param {(row: Row) => void} onChoose
 */
export function showHeatMap(container, rows, { across, down, figure, label }, onChoose) {
  const columns = valuesOf(rows, across);
  const lines = down === null ? [null] : valuesOf(rows, down);
  if (columns.length > MOST_VALUES || lines.length > MOST_VALUES) {
    return replaceContent(container, element('p', { class: 'card-body muted' }, t('Too many different values for a map; the table has them all.')));
  }
  const best = bestByPlace(rows, across, down, figure);
  const largest = Math.max(...[...best.values()].map((row) => Math.abs(row[figure] ?? 0)), 0);
  const head = columns.map((value) => element('th', { scope: 'col' }, axisValue(value)));
  const body = lines.map((line) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, line === null ? label : axisValue(line)),
      ...columns.map((column) => cell(best.get(place(column, line)), figure, largest, onChoose)),
    ),
  );
  const corner = element('th', { scope: 'col', class: 'heat-corner' }, down === null ? axisLabel(across) : `${axisLabel(down)} ↓ ${axisLabel(across)} →`);
  const table = element(
    'table',
    { class: 'heat-map sweep-heat-map', 'aria-label': t('%(figure)s by %(parameters)s', { figure: label, parameters: [across, ...(down === null ? [] : [down])].map(axisLabel).join(', ') }), 'data-testid': 'sweep-heat-map' },
    element('thead', {}, element('tr', {}, corner, ...head)),
    element('tbody', {}, ...body),
  );
  replaceContent(container, element('div', { class: 'table-scroll heat-frame', tabindex: 0, role: 'group', 'aria-label': t('Map of the search') }, table));
}

/**
 * @param {readonly Row[]} rows
 * @param {string} axis
 */
export function valuesOf(rows, axis) {
  const values = [...new Set(rows.map(({ params }) => params[axis]))];
  return values.every(isNumber) ? values.sort((one, other) => one - other) : values;
}

/** @param {unknown} column @param {unknown} line */
const place = (column, line) => JSON.stringify([column, line]);

/**
 * The best row of each place, where other parameters vary too.
 *
 * @param {readonly Row[]} rows
 * @param {string} across
 * @param {string | null} down
 * @param {string} figure
 */
function bestByPlace(rows, across, down, figure) {
  /** @type {Map<string, Row>} */
  const best = new Map();
  const sign = figure === 'max_drawdown' ? -1 : 1;
  for (const row of rows) {
    const key = place(row['params'][across], down === null ? null : row['params'][down]);
    const known = best.get(key);
    if (!known || sign * (row[figure] ?? -Infinity) > sign * (known[figure] ?? -Infinity)) best.set(key, row);
  }
  return best;
}

/**
 * @param {Row | undefined} row
 * @param {string} figure
 * @param {number} largest
 * @param {(row: Row) => void} onChoose
 */
function cell(row, figure, largest, onChoose) {
  const value = row?.[figure];
  if (!row || !isNumber(value)) return element('td', { class: 'heat-none' }, row ? NOTHING : '');
  const strength = largest ? Math.ceil((STEPS * Math.abs(value)) / largest) : 0;
  const side = value < 0 || figure === 'max_drawdown' ? 'down' : 'up';
  const heat = strength ? `heat-${side} heat-${strength}` : '';
  const title = Object.entries(row['params']).map(([name, given]) => `${axisLabel(name)} ${axisValue(given)}`).join(', ');
  const button = element('button', { type: 'button', class: 'heat-button', title, onclick: () => onChoose(row) }, formatNumber(value, 2));
  return element('td', { class: heat }, button);
}
