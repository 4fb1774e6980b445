/** A trade, opened: how its figures come about, why it was made, and the other trades of its position. */

import { get } from './api.js';
import { element, replaceContent } from './element.js';
import { directionClass, formatMoney, formatPercent, formatPrice, formatProfit, formatQuantity, formatTime, NOTHING } from './format.js';
import { t } from './i18n.js';
import { originDialog } from './origin-dialog.js';
import { originLink } from './origin-links.js';
import { plainTable } from './plain-table.js';
import { coinLink, modelLink } from './positions.js';
import { traderStory } from './trader-story.js';
import { reasonCell } from './trades.js';
import { sideBadge, word } from './words.js';

/** @typedef {import('./trades.js').Trade} Trade */

/** Why a trade was made that nobody was asked about. @type {Record<string, string>} */
const REASONS = {
  stop_loss: t('The price reached the stop loss of the position.'),
  profit_target: t('The price reached the profit target of the position.'),
  trailing_stop: t('The price fell back from its best by the trailing stop.'),
  invalidation: t('The condition under which the position was to be given up came true.'),
  liquidation: t('The loss had eaten the margin up: an exchange would have liquidated the position.'),
  funding: t('At regular times one side of the market pays the other.'),
  flatten: t('Somebody closed the positions by hand.'),
};

/** @param {number} tradeId */
export function openTrade(tradeId) {
  return originDialog(t('Trade #%(id)s', { id: tradeId }), async (body) => {
    const [{ trade, position, decision, model }, traders] = await Promise.all([
      get(`/api/trades/${tradeId}`),
      get('/api/traders'),
    ]);
    replaceContent(
      body,
      tradeLine(trade, model),
      element('h3', {}, t('How its figures come about')),
      figures(trade),
      element('h3', {}, t('Why it was made')),
      why(trade, decision, model),
      traderStory(model, traders),
      decision ? decisionButton(decision.id) : null,
      element('h3', {}, t('All trades of this position')),
      positionTable(position, trade.id),
      element('p', {}, element('a', { href: chartOf(trade, model), 'data-testid': 'trade-chart' }, t('Show on the chart'))),
    );
  });
}

/** @param {Trade} trade @param {any} model */
function tradeLine({ timestamp, kind, side, leverage, coin }, model) {
  return element(
    'div',
    { class: 'notice' },
    element('span', { class: 'tabular' }, formatTime(timestamp, 'full')),
    action({ kind, side, leverage }),
    coinLink(coin),
    modelLink(model.id, model.name),
  );
}

/** @param {Pick<Trade, 'kind' | 'side' | 'leverage'>} trade */
function action({ kind, side, leverage }) {
  return element(
    'span',
    { class: 'side' },
    word(kind),
    element('span', { class: sideBadge(side) }, word(side)),
    element('span', { class: 'muted' }, `${leverage}×`),
  );
}

/** @param {Trade} trade */
function figures({ kind, coin, quantity, price, leverage, fee, pnl }) {
  const notional = quantity * price;
  const share = notional ? t('%(percent)s of it', { percent: formatPercent((100 * fee) / notional, false) }) : '';
  /** @type {[string, import('./element.js').Child][]} */
  const rows = [
    [t('Notional'), `${formatQuantity(quantity)} ${coin} × ${formatPrice(price)} = ${formatMoney(notional)}`],
    [kind === 'funding' ? t('Paid') : t('Fee'), [formatMoney(fee), share].filter(Boolean).join(' · ')],
  ];
  if (kind === 'open') {
    rows.push([t('Margin'), `${formatMoney(notional)} ÷ ${leverage} = ${formatMoney(notional / leverage)}`]);
  } else if (kind !== 'funding') {
    rows.push([
      t('P&L'),
      element(
        'span',
        {},
        element('span', { class: directionClass(pnl) }, formatProfit(pnl)),
        ' · ',
        t('after the fees of its entry and of its exit, and funding'),
      ),
    ]);
  }
  return element(
    'dl',
    { class: 'details', 'data-testid': 'trade-figures' },
    ...rows.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]),
  );
}

/**
 * @param {Trade} trade
 * @param {any} decision null where nobody was asked
 * @param {any} model
 */
function why(trade, decision, model) {
  const text = decision ? saidWhy(decision.justification, model.trader_name) : (REASONS[trade.reason] ?? word(trade.reason));
  return element('p', { 'data-testid': 'trade-why' }, text);
}

/** @param {number} decisionId */
function decisionButton(decisionId) {
  const attributes = { class: 'button button-small', 'data-testid': 'trade-decision' };
  return element('p', {}, originLink('decision', decisionId, t('The whole decision'), attributes));
}

/** Rule traders say no more than their name. @param {string | null} said @param {string} traderName */
function saidWhy(said, traderName) {
  if (said === traderName) return t('The rule of its trader said so:');
  return said ? t(said) : t('Its trader decided so and gave no reason.');
}

/** @param {Trade[]} position @param {number} shownId */
function positionTable(position, shownId) {
  return plainTable(
    'position-trades',
    [t('Trade'), t('Time'), t('Action'), t('Quantity'), t('Price'), t('Fee'), t('P&L'), t('Reason')],
    position.map((trade) => [
      trade.id === shownId ? `#${trade.id}` : originLink('trade', trade.id, `#${trade.id}`, { 'data-testid': 'position-trade' }),
      formatTime(trade.timestamp, 'short'),
      action(trade),
      formatQuantity(trade.quantity),
      formatPrice(trade.price),
      formatMoney(trade.fee),
      trade.kind === 'open' ? NOTHING : formatProfit(trade.pnl),
      reasonCell(trade),
    ]),
    position.findIndex(({ id }) => id === shownId),
  );
}

/** @param {Trade} trade @param {any} model */
const chartOf = ({ coin }, { id, interval }) =>
  `/charts?coin=${encodeURIComponent(coin)}&interval=${interval}&models=${id}`;
