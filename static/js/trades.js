/**
 * The table of trades: newest first, added to as they happen.
 *
 * @typedef {object} Trade
 * @property {number} id
 * @property {string} timestamp
 * @property {string} coin
 * @property {string} signal
 * @property {string} kind open, close, liquidation or funding
 * @property {'long' | 'short'} side
 * @property {number} quantity
 * @property {number} price
 * @property {number} leverage
 * @property {number} fee
 * @property {number} pnl what it realised; an entry realises nothing
 * @property {string} reason
 * @property {number | null} decision_id
 * @property {string | null} justification
 * @property {number} [model_id]
 * @property {string} [model_name]
 */

import { element } from './element.js';
import { emptyState } from './failure.js';
import {
  directionClass,
  formatMoney,
  formatPrice,
  formatProfit,
  formatQuantity,
  formatTime,
  NOTHING,
} from './format.js';
import { t } from './i18n.js';
import { originLink } from './origin-links.js';
import { coinLink, modelColumn } from './positions.js';
import { dataTable } from './table.js';
import { sideBadge, word } from './words.js';

const LONGEST_LINE = 60;

/**
 * @param {HTMLElement} container
 * @param {{ withModel: boolean, filter: HTMLInputElement, exportButton: HTMLElement, most?: number, emptyAction?: () => Node }} options
 *   at most so many rows are kept; `emptyAction` is what can be done while there are none
 */
export function tradesTable(container, { withModel, filter, exportButton, most = Infinity, emptyAction }) {
  /** @type {Map<number, Trade>} */
  let known = new Map();
  /** @type {number | null} the trade that stands out */
  let marked = null;
  const table = dataTable(container, {
    label: t('Trades'),
    testId: 'trades',
    urlKey: 'trades',
    fileName: 'trades',
    filter,
    exportButton,
    columns: withModel ? [tradeTimeColumn, modelColumn, ...tradeColumns] : [tradeTimeColumn, ...tradeColumns],
    keyOf: ({ id }) => id,
    rowClass: ({ id }) => (id === marked ? 'row-marked' : ''),
    empty: () => emptyState(t('No trades yet. A model trades when its cycle decides to.'), emptyAction?.()),
  });

  /** A trade never changes, so one that is known stays. @param {readonly Trade[]} trades */
  function add(trades) {
    const all = [...known.values(), ...trades.filter(({ id }) => !known.has(id))];
    all.sort((one, other) => other.timestamp.localeCompare(one.timestamp) || other.id - one.id);
    known = new Map(all.slice(0, most).map((trade) => [trade.id, trade]));
    table.update([...known.values()]);
  }

  return {
    add,
    /** @param {readonly Trade[]} trades */
    replace(trades) {
      const before = known;
      known = new Map();
      add(trades.map((trade) => before.get(trade.id) ?? trade));
    },
    oldest: () => [...known.values()].at(-1),
    /** Lets a trade stand out. @param {number} id @returns {HTMLElement | null} its row, where it is shown */
    mark(id) {
      for (const one of [marked, id]) rowOf(one)?.classList.toggle('row-marked', one === id);
      marked = id;
      return rowOf(id);
    },
  };

  /** @param {number | null} id */
  function rowOf(id) {
    return /** @type {HTMLElement | null} */ (container.querySelector(`tr[data-key="${id}"]`));
  }
}

/** @typedef {import('./table.js').Column<Trade>} TradeColumn */

/** When a row came about. @type {import('./table.js').Column<{ timestamp: string }>} */
export const timeColumn = {
  key: 'time',
  label: t('Time'),
  value: ({ timestamp }) => timestamp,
  show: ({ timestamp }) =>
    element('time', { datetime: timestamp, title: formatTime(timestamp, 'full') }, formatTime(timestamp, 'short')),
  className: () => 'muted',
};

/** Leads to what the trade comes from. @type {TradeColumn} */
const tradeTimeColumn = {
  ...timeColumn,
  show: ({ id, timestamp }) =>
    originLink('trade', id, formatTime(timestamp, 'short'), {
      title: [t('Trade #%(id)s', { id }), formatTime(timestamp, 'full')].join(' · '),
      'data-testid': 'trade-link',
    }),
};

/** @type {TradeColumn[]} */
const tradeColumns = [
  { key: 'coin', label: t('Coin'), value: ({ coin }) => coin, show: ({ coin }) => coinLink(coin) },
  {
    key: 'kind',
    label: t('Action'),
    value: ({ kind, side }) => `${word(kind)} ${word(side)}`,
    show: ({ kind, side, leverage }) =>
      element(
        'span',
        { class: 'side' },
        word(kind),
        element('span', { class: sideBadge(side) }, word(side)),
        element('span', { class: 'muted' }, `${leverage}×`),
      ),
  },
  {
    key: 'quantity',
    label: t('Quantity'),
    number: true,
    value: ({ quantity }) => quantity,
    show: (trade) => formatQuantity(trade.quantity),
  },
  {
    key: 'price',
    label: t('Price'),
    number: true,
    value: ({ price }) => price,
    show: ({ price }) => formatPrice(price),
  },
  { key: 'fee', label: t('Fee'), number: true, value: ({ fee }) => fee, show: ({ fee }) => formatMoney(fee) },
  {
    key: 'pnl',
    label: t('P&L'),
    number: true,
    value: realized,
    show: (trade) => formatProfit(realized(trade)),
    className: (trade) => directionClass(realized(trade)),
  },
  { key: 'reason', label: t('Reason'), value: ({ reason }) => word(reason), show: reasonCell },
  {
    key: 'justification',
    label: t('Justification'),
    value: ({ justification }) => justification,
    show: ({ justification }) => longText(justification),
    className: () => 'wrap',
  },
];

/** @param {Trade} trade */
function realized({ kind, pnl }) {
  return kind === 'open' ? null : pnl;
}

/** Leads to the decision that it carries out. @param {Trade} trade */
export function reasonCell({ reason, decision_id: decisionId }) {
  if (decisionId !== null && decisionId !== undefined) {
    return originLink('decision', decisionId, word(reason), { title: t('The decision'), 'data-testid': 'decision-link' });
  }
  if (reason === 'signal') return word(reason);
  const forced = reason === 'stop_loss' || reason === 'trailing_stop' || reason === 'liquidation';
  return element('span', { class: `badge ${forced ? 'badge-warn' : 'badge-muted'}` }, word(reason));
}

/**
 * Short text as it is; of long text one line, as long as there is room, that opens.
 *
 * @param {string | null | undefined} given rule traders say their name, which is translated
 */
export function longText(given) {
  if (!given) return element('span', { class: 'muted' }, NOTHING);
  const text = t(given);
  if (text.length <= LONGEST_LINE) return text;
  return element('details', { class: 'long-text' }, element('summary', {}, text));
}
