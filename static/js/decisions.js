/**
 * The table of decisions: what a model said, what became of it and what risk changed.
 *
 * @typedef {object} DecisionRow
 * @property {number} id
 * @property {string} timestamp
 * @property {string} coin
 * @property {string} signal
 * @property {Record<string, any>} decision as parsed
 * @property {number} cycle_id
 * @property {'executed' | 'adjusted' | 'refused' | 'held'} outcome
 * @property {string | null} reason why it was refused or cut
 * @property {string[]} changes the limits that cut it
 * @property {number} [model_id] in a table of several models
 * @property {string} [model_name]
 */

import { outcomeBadge } from './decision-dialog.js';
import { element } from './element.js';
import { emptyState } from './failure.js';
import { formatMoney, formatPercent, formatQuantity, NOTHING } from './format.js';
import { t } from './i18n.js';
import { openButton } from './origin-links.js';
import { coinLink, modelColumn } from './positions.js';
import { dataTable } from './table.js';
import { longText, timeColumn } from './trades.js';
import { word } from './words.js';

/** @type {Record<string, string>} */
const SIGNAL_BADGES = {
  buy_to_enter: 'badge badge-up',
  sell_to_enter: 'badge badge-down',
  close_position: 'badge',
  hold: 'muted',
};

/** @typedef {import('./table.js').Column<DecisionRow>} DecisionColumn */

/** @type {DecisionColumn[]} */
const decisionColumns = [
  { key: 'coin', label: t('Coin'), value: ({ coin }) => coin, show: ({ coin }) => coinLink(coin) },
  {
    key: 'signal',
    label: t('Signal'),
    value: ({ signal }) => word(signal),
    show: ({ signal }) => element('span', { class: SIGNAL_BADGES[signal] ?? 'badge' }, word(signal)),
  },
  {
    key: 'size',
    label: t('Size asked for'),
    number: true,
    value: (row) => askedSize(row),
    show: (row) => askedSize(row) || NOTHING,
  },
  {
    key: 'confidence',
    label: t('Confidence'),
    number: true,
    value: ({ decision }) => decision['confidence'],
    show: ({ decision }) => percentOf(decision['confidence']),
  },
  {
    key: 'outcome',
    label: t('Outcome'),
    value: ({ outcome }) => word(outcome),
    show: ({ outcome }) => outcomeBadge(outcome),
  },
  {
    key: 'reason',
    label: t('Reason'),
    value: ({ reason }) => word(reason),
    show: ({ reason }) => word(reason) || NOTHING,
  },
  {
    key: 'changes',
    label: t('Changed by risk'),
    value: ({ changes }) => changes?.map(word).join(', '),
    show: ({ changes }) => changes?.map(word).join(', ') || NOTHING,
  },
  {
    key: 'justification',
    label: t('Justification'),
    value: ({ decision }) => decision['justification'],
    show: ({ decision }) => longText(decision['justification']),
    className: () => 'wrap',
  },
  { key: 'open', label: t('Details'), show: ({ id }) => openButton('decision', id), className: () => 'actions' },
];

/** A share of equity, coins, or dollars, with the leverage where there is one. @param {DecisionRow} row */
function askedSize({ coin, decision }) {
  const { weight, quantity, notional, leverage } = decision;
  let size = '';
  if (weight) size = percentOf(weight);
  else if (quantity) size = `${formatQuantity(Number(quantity))} ${coin}`;
  else if (notional) size = formatMoney(Number(notional));
  return size && Number(leverage) > 1 ? `${size} · ${Number(leverage)}×` : size;
}

/** @param {string | number | null | undefined} share */
const percentOf = (share) =>
  share === null || share === undefined ? NOTHING : formatPercent(100 * Number(share), false);

/**
 * @param {HTMLElement} container
 * @param {{ withModel: boolean, filter: HTMLInputElement, exportButton: HTMLElement, most?: number, emptyAction?: () => Node }} options
 *   at most so many rows are kept; `emptyAction` is what can be done while there are none
 */
export function decisionsTable(container, { withModel, filter, exportButton, most = Infinity, emptyAction }) {
  /** @type {Map<number, DecisionRow>} */
  let known = new Map();
  const table = dataTable(container, {
    label: t('Decisions'),
    testId: 'decisions',
    urlKey: 'decisions',
    fileName: 'decisions',
    filter,
    exportButton,
    columns: withModel ? [timeColumn, modelColumn, ...decisionColumns] : [timeColumn, ...decisionColumns],
    keyOf: ({ id }) => id,
    empty: () => emptyState(t('No decisions yet. Run a cycle now, or wait for the next one.'), emptyAction?.()),
  });

  /** A decision never changes, so one that is known stays. @param {readonly DecisionRow[]} rows */
  function add(rows) {
    const all = [...known.values(), ...rows.filter(({ id }) => !known.has(id))];
    all.sort((one, other) => other.id - one.id);
    known = new Map(all.slice(0, most).map((row) => [row.id, row]));
    table.update([...known.values()]);
  }

  return {
    add,
    /** @param {readonly DecisionRow[]} rows */
    replace(rows) {
      const before = known;
      known = new Map();
      add(rows.map((row) => before.get(row.id) ?? row));
    },
    oldest: () => [...known.values()].at(-1),
  };
}
