/** A model's questions to its LLM, also those that failed or were not sent: when, what came of it, what it cost. */

import { callBadge, latencyText, tokensText } from './decision-dialog.js';
import { element } from './element.js';
import { errorText } from './error-words.js';
import { emptyState } from './failure.js';
import { formatMoney, formatNumber, formatTime, NOTHING } from './format.js';
import { t } from './i18n.js';
import { openButton } from './origin-links.js';
import { dataTable } from './table.js';
import { longText } from './trades.js';
import { word } from './words.js';

/** @typedef {{ id: number, cycle_id: number | null, timestamp: string, status: string, [more: string]: any }} CallRow */

/**
 * @param {HTMLElement} container
 * @param {{ filter: HTMLInputElement, exportButton: HTMLElement, emptyAction?: () => Node }} options
 */
export function callsTable(container, { filter, exportButton, emptyAction }) {
  /** @type {Map<number, CallRow>} */
  let known = new Map();
  const table = dataTable(container, {
    label: t('Questions to the LLM'),
    testId: 'calls',
    urlKey: 'calls',
    fileName: 'llm-calls',
    filter,
    exportButton,
    columns,
    keyOf: ({ id }) => id,
    empty: () => emptyState(t('Nothing has been asked yet. Run a cycle now, or wait for the next one.'), emptyAction?.()),
  });
  return {
    /** A call may be open when it is first seen, so the newer one stands. @param {readonly CallRow[]} rows */
    add(rows) {
      const all = [...new Map([...known, ...rows.map((row) => /** @type {const} */ ([row.id, row]))]).values()];
      all.sort((one, other) => other.id - one.id);
      known = new Map(all.map((row) => [row.id, row]));
      table.update(all);
    },
    oldest: () => [...known.values()].at(-1),
  };
}

/** @type {import('./table.js').Column<CallRow>[]} */
const columns = [
  {
    key: 'time',
    label: t('Time'),
    value: ({ timestamp }) => timestamp,
    show: ({ timestamp }) =>
      element('time', { datetime: timestamp, title: formatTime(timestamp, 'full') }, formatTime(timestamp, 'short')),
    className: () => 'muted',
  },
  { key: 'status', label: t('Status'), value: ({ status }) => word(status), show: ({ status }) => callBadge(status) },
  { key: 'purpose', label: t('Purpose'), value: ({ purpose }) => word(purpose) },
  {
    key: 'model',
    label: t('Model of the provider'),
    value: (row) => row['model_name'],
    show: (row) => row['model_name'] ?? NOTHING,
  },
  {
    key: 'tokens',
    label: t('Tokens'),
    number: true,
    value: (row) => (row['input_tokens'] ?? 0) + (row['output_tokens'] ?? 0),
    show: tokensText,
  },
  {
    key: 'cost',
    label: t('Cost'),
    number: true,
    value: (row) => row['cost'],
    show: (row) => (row['cost'] === null ? NOTHING : formatMoney(row['cost'])),
  },
  {
    key: 'latency',
    label: t('Latency'),
    number: true,
    value: (row) => row['latency_ms'],
    show: (row) => latencyText(row['latency_ms']),
  },
  {
    key: 'attempt',
    label: t('Attempt'),
    number: true,
    value: (row) => row['attempt'],
    show: (row) => formatNumber(row['attempt']),
  },
  {
    key: 'error',
    label: t('Error'),
    value: (row) => row['error'],
    show: (row) => longText(errorText(row['error_code'], row['error'] ?? '')),
    className: () => 'wrap',
  },
  { key: 'open', label: t('Details'), show: openCell, className: () => 'actions' },
];

/** In a cycle it opens with what came of it. @param {CallRow} row */
function openCell({ id, cycle_id: cycleId }) {
  return cycleId === null ? openButton('call', id) : openButton('cycle', cycleId);
}
