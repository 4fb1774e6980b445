/** Tables as CSV files. */

import { element } from './element.js';

/**
 * @param {string[]} header
 * @param {unknown[][]} rows
 * @returns {string} RFC 4180
 */
export function toCsv(header, rows) {
  return [header, ...rows].map((row) => row.map(csvCell).join(',')).join('\r\n') + '\r\n';
}

/** @param {unknown} value */
function csvCell(value) {
  if (value === null || value === undefined) return '';
  let text = String(value);
  // A spreadsheet would run text that begins like a formula.
  if (typeof value === 'string' && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * @param {string} fileName
 * @param {string} content
 */
export function downloadCsv(fileName, content) {
  const address = URL.createObjectURL(new Blob(['\ufeff', content], { type: 'text/csv;charset=utf-8' }));
  const link = element('a', { href: address, download: fileName });
  link.click();
  URL.revokeObjectURL(address);
}
