/**
 * Tables that sort by any column, keep still while their values change, and export as CSV.
 *
 *     const table = dataTable(byId('trades'), { label: t('Trades'), columns, keyOf: (row) => row.id, … });
 *     table.update(rows);
 *
 * Rows stay where they are while only their values change: they are put in order again when rows
 * come or go, and when a heading is clicked (or always, where `reorders` says so).
 *
 * @typedef {import('./element.js').Child} Child
 */

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} key names the column in the address
 * @property {string} label
 * @property {(row: Row) => string | number | null | undefined} [value] sorts and is exported; without it the column does neither
 * @property {(row: Row) => Child} [show] what stands in the cell; the value unless told
 * @property {boolean} [number] aligned to the right
 * @property {(row: Row) => string} [className] of the cell
 */

/**
 * @template Row
 * @typedef {object} TableOptions
 * @property {string} label what the table holds, for screen readers
 * @property {Column<Row>[]} columns
 * @property {(row: Row) => string | number} keyOf
 * @property {() => Node} empty what stands there instead when there are no rows
 * @property {string} [order] the first column to sort by, `-` before it for descending; rows come in order unless told
 * @property {string} [urlKey] keeps the order chosen in the address under this name
 * @property {string} [testId] of the table; rows get `‹testId›-row`
 * @property {boolean} [reorders] rows change places as soon as their values do
 * @property {(row: Row) => string} [rowClass]
 * @property {HTMLInputElement} [filter] only rows that have its text somewhere are shown
 * @property {HTMLElement} [exportButton] exports the rows as shown
 * @property {string} [fileName] of the export, without `.csv`
 */

import { downloadCsv, toCsv } from './csv.js';
import { element, replaceContent, setText } from './element.js';
import { languageTag, t } from './i18n.js';
import { fromUrl, toUrl } from './url-state.js';

const collator = new Intl.Collator(languageTag, { numeric: true });

/**
 * @template Row
 * @param {HTMLElement} container
 * @param {TableOptions<Row>} options
 */
export function dataTable(container, options) {
  const { columns, keyOf } = options;
  /** @type {Map<string | number, { row: Row, node: HTMLTableRowElement }>} */
  const lines = new Map();
  const body = element('tbody');
  const headings = columns.map((column) => heading(column, sortBy));
  const table = element(
    'table',
    { class: 'table table-pinned', 'aria-label': options.label, 'data-testid': options.testId },
    element('thead', {}, element('tr', {}, ...headings)),
    body,
  );
  // Reachable by keyboard, because it scrolls.
  const frame = element(
    'div',
    { class: 'table-scroll', tabindex: '0', role: 'group', 'aria-label': options.label },
    table,
  );
  const noMatch = element('p', { class: 'empty-state', hidden: true, role: 'status' }, t('No row has this text.'));
  const { filter } = options;
  const filterKey = options.urlKey && `${options.urlKey}-filter`;
  if (filter && filterKey) filter.value = fromUrl(filterKey) ?? '';
  let order = (options.urlKey && fromUrl(options.urlKey)) || options.order || '';
  options.exportButton?.addEventListener('click', exportRows);
  filter?.addEventListener('input', () => {
    if (filterKey) toUrl({ [filterKey]: filter.value || null });
    applyFilter();
  });
  document.addEventListener('displaychange', () => {
    for (const { row, node } of lines.values()) fillRow(node, row);
  });

  /** @param {string} key */
  function sortBy(key) {
    const column = columns.find((candidate) => candidate.key === key);
    const first = column?.number ? `-${key}` : key;
    const second = column?.number ? key : `-${key}`;
    order = order === first ? second : first;
    if (options.urlKey) toUrl({ [options.urlKey]: order === options.order ? null : order });
    putInOrder();
  }

  /** The same object again means: nothing of this row has changed. @param {readonly Row[]} rows */
  function update(rows) {
    if (options.exportButton) options.exportButton.toggleAttribute('disabled', rows.length === 0);
    if (rows.length === 0) {
      lines.clear();
      replaceContent(container, options.empty());
      return;
    }
    const keys = rows.map(keyOf);
    const sameRows = keys.length === lines.size && keys.every((key) => lines.has(key));
    const wanted = new Set(keys);
    for (const key of lines.keys()) if (!wanted.has(key)) lines.delete(key);
    for (const [index, row] of rows.entries()) {
      const key = /** @type {string | number} */ (keys[index]);
      const line = lines.get(key);
      if (line?.row === row) continue;
      const node = line?.node ?? newRow();
      lines.set(key, { row, node });
      fillRow(node, row);
    }
    if (!sameRows || options.reorders) putInOrder(keys);
    if (frame.parentNode !== container) replaceContent(container, frame, noMatch);
    if (filter?.value) applyFilter();
  }

  /** @param {string} wanted a column's key, `-` before it for descending */
  function orderBy(wanted) {
    order = wanted;
    putInOrder();
  }

  function applyFilter() {
    const wanted = (filter?.value ?? '').trim().toLowerCase();
    let shown = 0;
    for (const { node } of lines.values()) {
      node.hidden = !(node.textContent ?? '').toLowerCase().includes(wanted);
      if (!node.hidden) shown += 1;
    }
    noMatch.hidden = shown > 0 || lines.size === 0;
  }

  function newRow() {
    const testId = options.testId && `${options.testId}-row`;
    return element('tr', { 'data-testid': testId }, ...columns.map(() => element('td')));
  }

  /**
   * @param {HTMLTableRowElement} node
   * @param {Row} row
   */
  function fillRow(node, row) {
    node.dataset['key'] = String(keyOf(row));
    setClass(node, options.rowClass?.(row) ?? '');
    for (const [index, column] of columns.entries()) {
      const cell = /** @type {HTMLTableCellElement} */ (node.cells[index]);
      setClass(cell, [column.number ? 'number' : '', column.className?.(row) ?? ''].filter(Boolean).join(' '));
      setContent(cell, column.show ? column.show(row) : (column.value?.(row) ?? ''));
    }
  }

  /** @param {readonly (string | number)[]} [asGiven] the order in which the rows came */
  function putInOrder(asGiven) {
    const keys = asGiven ?? [...lines.keys()];
    const column = columns.find(({ key }) => key === order.replace(/^-/, ''));
    const sorted = keys.map((key) => /** @type {{ row: Row, node: HTMLTableRowElement }} */ (lines.get(key)));
    if (column?.value) sorted.sort((one, other) => compare(column, one.row, other.row, order.startsWith('-')));
    for (const [index, node] of headings.entries()) markHeading(node, columns[index]?.key ?? '', order);
    if (sorted.some(({ node }, index) => body.rows[index] !== node) || sorted.length !== body.rows.length) {
      body.replaceChildren(...sorted.map(({ node }) => node));
    }
  }

  function exportRows() {
    const exported = columns.filter(({ value }) => value);
    const rowOf = new Map([...lines.values()].map(({ row, node }) => [node, row]));
    const shown = [...body.rows].filter((node) => !node.hidden);
    const rows = shown.map((node) => {
      const row = /** @type {Row} */ (rowOf.get(node));
      return exported.map(({ value }) => value?.(row));
    });
    downloadCsv(
      `${options.fileName ?? 'table'}.csv`,
      toCsv(
        exported.map(({ label }) => label),
        rows,
      ),
    );
  }

  return { update, orderBy };
}

/**
 * @template Row
 * @param {Column<Row>} column
 * @param {(key: string) => void} sortBy
 */
function heading({ key, label, value, number }, sortBy) {
  const content = value
    ? element(
        'button',
        { type: 'button', class: 'sort', 'data-testid': `sort-${key}`, onclick: () => sortBy(key) },
        label,
      )
    : label;
  return element('th', { scope: 'col', class: number ? 'number' : value ? null : 'actions' }, content);
}

/**
 * @param {HTMLElement} node
 * @param {string} key
 * @param {string} order
 */
function markHeading(node, key, order) {
  if (order === key) node.setAttribute('aria-sort', 'ascending');
  else if (order === `-${key}`) node.setAttribute('aria-sort', 'descending');
  else node.removeAttribute('aria-sort');
}

/**
 * The rows as the table would sort them.
 *
 * @template Row
 * @param {readonly Row[]} rows
 * @param {Column<Row>[]} columns
 * @param {string} order a column's key, `-` before it for descending
 */
export function inOrder(rows, columns, order) {
  const column = columns.find(({ key }) => key === order.replace(/^-/, ''));
  if (!column?.value) return [...rows];
  return [...rows].sort((one, other) => compare(column, one, other, order.startsWith('-')));
}

/**
 * Rows without a value come last, whichever way.
 *
 * @template Row
 * @param {Column<Row>} column
 * @param {Row} one
 * @param {Row} other
 * @param {boolean} descending
 */
function compare(column, one, other, descending) {
  const [first, second] = [column.value?.(one), column.value?.(other)];
  if (first === null || first === undefined) return second === null || second === undefined ? 0 : 1;
  if (second === null || second === undefined) return -1;
  const difference =
    typeof first === 'number' && typeof second === 'number'
      ? first - second
      : collator.compare(String(first), String(second));
  return descending ? -difference : difference;
}

/** @param {HTMLElement} node @param {string} name */
function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

/**
 * Leaves alone what would look the same, so that focus and selection survive an update.
 *
 * @param {HTMLElement} cell
 * @param {Child} content
 */
function setContent(cell, content) {
  if (content instanceof Node) {
    const only = cell.childNodes.length === 1 ? cell.firstChild : null;
    if (!only?.isEqualNode(content)) cell.replaceChildren(content);
  } else setText(cell, content === null || content === undefined || content === false ? '' : String(content));
}
