/**
 * The round trips of a backtest: as rows, as markers, as a CSV file.
 *
 * @typedef {object} Trip one of the report's trades
 * @property {string} coin
 * @property {'long' | 'short'} side
 * @property {number} quantity
 * @property {number} leverage
 * @property {string} entry_time
 * @property {number} entry_price
 * @property {string} exit_time
 * @property {number} exit_price
 * @property {number} fees
 * @property {number} funding
 * @property {number} pnl
 * @property {number} return_percentage
 * @property {string} exit_reason
 *
 * @typedef {Trip & { number: number, entryTime: number, exitTime: number }} NumberedTrip
 */

import { formatHours } from './backtest-metrics.js';
import { downloadCsv, toCsv } from './csv.js';
import { element } from './element.js';
import { directionClass, formatMoney, formatPercent, formatPrice, formatProfit, formatQuantity, formatTime } from './format.js';
import { t } from './i18n.js';
import { sideBadge, word } from './words.js';

const HOUR_MS = 3_600_000;

/** @param {readonly Trip[]} trips @returns {NumberedTrip[]} numbered from 1 in the order given */
export function numbered(trips) {
  return trips.map((trip, index) => ({
    ...trip,
    number: index + 1,
    entryTime: Date.parse(trip.entry_time),
    exitTime: Date.parse(trip.exit_time),
  }));
}

/** @param {NumberedTrip} trip */
const hours = ({ entryTime, exitTime }) => (exitTime - entryTime) / HOUR_MS;

/** @returns {import('./table.js').Column<NumberedTrip>[]} */
export function tripColumns() {
  const price = (/** @type {'entry_price' | 'exit_price'} */ key) => ({
    number: true,
    value: (/** @type {NumberedTrip} */ trip) => trip[key],
    show: (/** @type {NumberedTrip} */ trip) => formatPrice(trip[key]),
  });
  return [
    { key: 'number', label: '#', value: ({ number }) => number, show: goTo },
    { key: 'coin', label: t('Coin'), value: ({ coin }) => coin },
    { key: 'side', label: t('Side'), value: ({ side }) => word(side), show: ({ side }) => element('span', { class: sideBadge(side) }, word(side)) },
    { key: 'entry', label: t('Entry'), value: ({ entryTime }) => entryTime, show: ({ entryTime }) => formatTime(entryTime) },
    { key: 'entry_price', label: t('Entry price'), ...price('entry_price') },
    { key: 'exit', label: t('Exit'), value: ({ exitTime }) => exitTime, show: ({ exitTime }) => formatTime(exitTime) },
    { key: 'exit_price', label: t('Exit price'), ...price('exit_price') },
    { key: 'held', label: t('Held'), number: true, value: hours, show: (trip) => formatHours(hours(trip)) },
    { key: 'quantity', label: t('Quantity'), number: true, value: ({ quantity }) => quantity, show: ({ quantity }) => formatQuantity(quantity) },
    {
      key: 'pnl',
      label: t('Profit and loss'),
      number: true,
      value: ({ pnl }) => pnl,
      show: ({ pnl }) => formatProfit(pnl),
      className: ({ pnl }) => directionClass(pnl),
    },
    {
      key: 'return',
      label: t('Return'),
      number: true,
      value: ({ return_percentage: percent }) => percent,
      show: ({ return_percentage: percent }) => formatPercent(percent),
      className: ({ return_percentage: percent }) => directionClass(percent),
    },
    { key: 'fees', label: t('Fees'), number: true, value: ({ fees }) => fees, show: ({ fees }) => formatMoney(fees) },
    { key: 'reason', label: t('Exit by'), value: ({ exit_reason: reason }) => word(reason) },
  ];
}

/** @param {NumberedTrip} trip */
function goTo({ number }) {
  return element('button', { type: 'button', class: 'link-button', title: t('Show on the chart'), 'data-testid': 'go-to-trade' }, String(number));
}

/** @param {readonly NumberedTrip[]} trips all of one coin @returns {import('./candle-chart.js').Marker[]} */
export function tripMarkers(trips) {
  const markers = trips.flatMap((trip) => {
    const long = trip.side === 'long';
    const color = trip.pnl < 0 ? '--down-chart' : '--up-chart';
    const liquidated = trip.exit_reason === 'liquidation';
    return [
      { id: `entry ${trip.number}`, time: trip.entryTime, position: long ? 'belowBar' : 'aboveBar', shape: long ? 'arrowUp' : 'arrowDown', color: '--accent' },
      { id: `exit ${trip.number}`, time: trip.exitTime, position: long ? 'aboveBar' : 'belowBar', shape: liquidated ? 'square' : 'circle', color: liquidated ? '--amber' : color },
    ];
  });
  return /** @type {import('./candle-chart.js').Marker[]} */ (markers.sort((one, other) => one.time - other.time));
}

/** @param {NumberedTrip} trip @returns {Node[]} */
export function tripStory(trip) {
  const price = (/** @type {number} */ time, /** @type {number} */ at) => `${formatTime(time)} @ ${formatPrice(at)}`;
  const leverage = trip.leverage > 1 ? ` · ${trip.leverage}×` : '';
  return [
    element('p', { class: 'marker-title' }, `#${trip.number} ${word(trip.side)} ${formatQuantity(trip.quantity)} ${trip.coin}${leverage}`),
    element('p', {}, `${t('Entry')} ${price(trip.entryTime, trip.entry_price)}`),
    element('p', {}, `${t('Exit')} ${price(trip.exitTime, trip.exit_price)} · ${word(trip.exit_reason)}`),
    element('p', { class: directionClass(trip.pnl) }, `${formatProfit(trip.pnl)} · ${formatPercent(trip.return_percentage)}`),
  ];
}

const CSV_COLUMNS = /** @type {const} */ ([
  'coin', 'side', 'quantity', 'leverage', 'entry_time', 'entry_price', 'exit_time', 'exit_price',
  'fees', 'funding', 'pnl', 'return_percentage', 'exit_reason',
]);

/**
 * @param {readonly Trip[]} trips
 * @param {number} id of the backtest
 */
export function downloadTrips(trips, id) {
  const rows = trips.map((trip) => CSV_COLUMNS.map((column) => trip[column]));
  downloadCsv(`backtest-${id}-trades.csv`, toCsv([...CSV_COLUMNS], rows));
}
