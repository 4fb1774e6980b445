/**
 * The trades and open positions of the chosen models on one coin: as markers with their story, as price
 * lines and as rows.
 *
 * @typedef {object} Model
 * @property {number} id
 * @property {string} name
 *
 * @typedef {object} Trade one row of /api/models/<id>/trades
 * @property {number} id
 * @property {string} timestamp
 * @property {string} coin
 * @property {string} signal
 * @property {string} kind open, close, liquidation or funding
 * @property {string} side
 * @property {number} quantity
 * @property {number} price
 * @property {number} leverage
 * @property {number} fee
 * @property {number} pnl
 * @property {string} reason
 * @property {string | null} justification
 *
 * @typedef {Trade & { time: number, model: Model, color: string }} ModelTrade
 * @typedef {import('./candle-chart.js').Marker} Marker
 * @typedef {import('./candle-chart.js').PriceLevel} PriceLevel
 */

import { get } from './api.js';
import { element } from './element.js';
import { directionClass, formatMoney, formatPrice, formatProfit, formatQuantity, formatTime } from './format.js';
import { t } from './i18n.js';
import { word } from './words.js';

const TRADES_A_PAGE = 1000;
const MOST_PAGES = 5;
const TRADES_IN_TOOLTIP = 4;
const LONGEST_OWNER = 14;

/**
 * The newest trades of a model on a coin, without fundings, oldest first.
 *
 * @param {Model} model
 * @param {string} coin
 * @param {string} color a design token
 * @returns {Promise<ModelTrade[]>}
 */
export async function fetchTrades(model, coin, color) {
  /** @type {Trade[]} */
  const trades = [];
  for (let page = 0; page < MOST_PAGES; page++) {
    const before = trades.at(-1)?.id;
    const rows = await get(`/api/models/${model.id}/trades`, { coin, limit: TRADES_A_PAGE, before });
    trades.push(...rows);
    if (rows.length < TRADES_A_PAGE) break;
  }
  return trades
    .filter(({ kind }) => kind !== 'funding')
    .map((trade) => withModel(trade, model, color))
    .reverse();
}

/**
 * @param {Trade} trade
 * @param {Model} model
 * @param {string} color
 * @returns {ModelTrade}
 */
export const withModel = (trade, model, color) => ({ ...trade, time: Date.parse(trade.timestamp), model, color });

/**
 * One marker for the buys and one for the sells of a model in a bar.
 *
 * @param {readonly ModelTrade[]} trades oldest first
 * @param {number} firstBar open time of a bar, milliseconds
 * @param {number} barLength milliseconds
 * @param {boolean} byModel in the model's colour, else in those of up and down
 * @returns {{ markers: Marker[], tradesOf: Map<string, ModelTrade[]> }}
 */
export function tradeMarkers(trades, firstBar, barLength, byModel) {
  /** @type {Map<string, ModelTrade[]>} */
  const tradesOf = new Map();
  for (const trade of trades) {
    const bar = Math.floor((trade.time - firstBar) / barLength);
    const id = `${bar} ${trade.model.id} ${trade.kind === 'liquidation' ? 'liquidation' : isBuy(trade)}`;
    const together = tradesOf.get(id);
    if (together) together.push(trade);
    else tradesOf.set(id, [trade]);
  }
  const markers = [...tradesOf].map(([id, [trade]]) => marker(id, /** @type {ModelTrade} */ (trade), byModel));
  return { markers: markers.sort((one, other) => one.time - other.time), tradesOf };
}

/** @param {Trade} trade */
const isBuy = ({ kind, side }) => (kind === 'open') === (side === 'long');

/**
 * @param {string} id
 * @param {ModelTrade} trade
 * @param {boolean} byModel
 * @returns {Marker}
 */
function marker(id, trade, byModel) {
  const buy = isBuy(trade);
  const color = byModel ? trade.color : buy ? '--up-chart' : '--down-chart';
  const position = buy ? 'belowBar' : 'aboveBar';
  if (trade.kind === 'liquidation') return { id, time: trade.time, position, shape: 'square', color: '--amber' };
  return { id, time: trade.time, position, shape: buy ? 'arrowUp' : 'arrowDown', color };
}

/** @param {readonly ModelTrade[]} trades of the markers of a bar @returns {Node[]} */
export function tradeStory(trades) {
  const shown = trades.slice(0, TRADES_IN_TOOLTIP).map(oneStory);
  const more = trades.length - TRADES_IN_TOOLTIP;
  return more > 0 ? [...shown, element('p', { class: 'muted' }, t('and %(count)s more', { count: more }))] : shown;
}

/** @param {ModelTrade} trade */
function oneStory(trade) {
  const closes = trade.kind !== 'open';
  return element(
    'div',
    { class: 'marker-story' },
    element('p', { class: 'marker-title' }, `${trade.model.name} · ${actionWord(trade)}`),
    element('p', {}, `${formatQuantity(trade.quantity)} ${trade.coin} @ ${formatPrice(trade.price)}`, leverageText(trade)),
    closes
      ? element('p', {}, `${t('Profit and loss')} `, element('span', { class: directionClass(trade.pnl) }, formatProfit(trade.pnl)))
      : null,
    element('p', { class: 'muted' }, [formatTime(trade.timestamp, 'minute'), word(trade.reason)].filter(Boolean).join(' · ')),
    trade.justification ? element('p', { class: 'marker-justification' }, trade.justification) : null,
  );
}

/** @param {Trade} trade */
const leverageText = ({ leverage }) => (leverage > 1 ? ` · ${leverage}×` : '');

/** @param {Trade} trade @returns {string} */
export function actionWord({ kind, side }) {
  if (kind === 'liquidation') return word('liquidation');
  if (kind === 'open') return side === 'long' ? t('Open long') : t('Open short');
  return side === 'long' ? t('Close long') : t('Close short');
}

/**
 * Lines for the positions that models hold in a coin.
 *
 * @param {{ model: Model, color: string }[]} chosen
 * @param {string} coin
 * @returns {Promise<PriceLevel[]>}
 */
export async function fetchLevels(chosen, coin) {
  const levels = chosen.map(async ({ model, color }) => {
    const { portfolio } = await get(`/api/models/${model.id}/portfolio`, { limit: 1 });
    const position = portfolio.positions.find((/** @type {any} */ held) => held.coin === coin);
    return position ? positionLevels(position, chosen.length > 1 ? ownerText(model) : '', color) : [];
  });
  return (await Promise.all(levels)).flat();
}

/** Short, as it stands over the candles; where there is no room the colour alone tells. @param {Model} model */
function ownerText({ name }) {
  if (matchMedia('(max-width: 48rem)').matches) return ' ';
  return name.length > LONGEST_OWNER ? `${name.slice(0, LONGEST_OWNER - 1)}… ` : `${name} `;
}

/**
 * @param {any} position
 * @param {string} owner
 * @param {string} color
 * @returns {PriceLevel[]}
 */
function positionLevels(position, owner, color) {
  /** @type {[number | null, string, string, PriceLevel['line']][]} */
  const lines = [
    [position.entry_price, t('entry'), owner ? color : '--accent', 'solid'],
    [position.stop_loss, t('stop'), '--down-chart', 'dashed'],
    [position.profit_target, t('target'), '--up-chart', 'dashed'],
    [position.liquidation_price, t('liquidation'), '--amber', 'dotted'],
  ];
  return lines.flatMap(([price, name, lineColor, line]) =>
    price === null || price === undefined ? [] : [{ price, title: (owner + name).trim(), color: lineColor, line }],
  );
}

/** The table's columns. @returns {import('./table.js').Column<ModelTrade>[]} */
export function tradeColumns() {
  return [
    { key: 'time', label: t('Time'), value: (trade) => trade.timestamp, show: goTo },
    { key: 'model', label: t('Model'), value: ({ model }) => model.name },
    { key: 'action', label: t('Action'), value: actionWord },
    { key: 'quantity', label: t('Quantity'), number: true, value: ({ quantity }) => quantity, show: ({ quantity }) => formatQuantity(quantity) },
    { key: 'price', label: t('Price'), number: true, value: ({ price }) => price, show: ({ price }) => formatPrice(price) },
    { key: 'fee', label: t('Fee'), number: true, value: ({ fee }) => fee, show: ({ fee }) => formatMoney(fee) },
    {
      key: 'pnl',
      label: t('Profit and loss'),
      number: true,
      value: ({ kind, pnl }) => (kind === 'open' ? null : pnl),
      show: ({ kind, pnl }) => formatProfit(kind === 'open' ? null : pnl),
      className: ({ kind, pnl }) => (kind === 'open' ? 'muted' : directionClass(pnl)),
    },
    { key: 'reason', label: t('Reason'), value: ({ reason }) => word(reason) },
    { key: 'justification', label: t('Justification'), value: ({ justification }) => justification, className: () => 'wrap' },
  ];
}

/** @param {ModelTrade} trade */
function goTo({ timestamp }) {
  const time = formatTime(timestamp, 'minute');
  return element('button', { type: 'button', class: 'link-button', title: t('Show on the chart'), 'data-testid': 'go-to-trade' }, time);
}
