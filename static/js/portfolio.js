/**
 * The figures of an account or of all accounts together, and how they move with the prices.
 *
 * @typedef {object} Portfolio
 * @property {number} total_value
 * @property {number} initial_capital
 * @property {number | null} return_percentage
 * @property {number | null} [today_pnl]
 * @property {number} cash
 * @property {number} positions_value
 * @property {number} margin_used
 * @property {number} unrealized_pnl
 * @property {number} realized_pnl
 * @property {number} fees_paid
 * @property {number | null} [token_cost] of calls to LLMs, in real dollars
 * @property {import('./positions.js').Position[]} positions
 */

import { element, replaceContent, setText } from './element.js';
import { directionClass, formatMoney, formatNumber, formatPercent, formatProfit, isNumber } from './format.js';
import { t } from './i18n.js';
import { atNewestPrice } from './positions.js';

/**
 * The portfolio with its positions at the newest prices: what they gained since it was fetched is
 * added to its value.
 *
 * @param {Portfolio} portfolio
 * @returns {Portfolio}
 */
export function portfolioNow(portfolio) {
  const positions = portfolio.positions.map(atNewestPrice);
  const gained = sumOf(positions) - sumOf(portfolio.positions);
  const total = portfolio.total_value + gained;
  const { initial_capital: capital, today_pnl: today } = portfolio;
  return {
    ...portfolio,
    positions,
    total_value: total,
    return_percentage: capital ? 100 * (total / capital - 1) : null,
    today_pnl: isNumber(today) ? today + gained : today,
    positions_value: portfolio.positions_value + gained,
    unrealized_pnl: portfolio.unrealized_pnl + gained,
  };
}

/** @param {import('./positions.js').Position[]} positions */
const sumOf = (positions) => positions.reduce((sum, { unrealized_pnl }) => sum + unrealized_pnl, 0);

/**
 * Lets the names of figures lead to what they are the sum of.
 *
 * @param {HTMLElement} container
 * @param {Record<string, string | null>} places by the figure; null leads nowhere
 */
export function linkMetrics(container, places) {
  for (const [key, place] of Object.entries(places)) {
    const label = container.querySelector(`[data-metric="${key}"]`)?.closest('.metric')?.querySelector('.metric-label');
    const text = label?.textContent?.trim() ?? '';
    if (label) replaceContent(label, place ? element('a', { class: 'origin', href: place }, text) : text);
  }
}

/**
 * Fills the metrics that the page has.
 *
 * @param {HTMLElement} container
 * @param {Portfolio} portfolio
 */
export function showMetrics(container, portfolio) {
  const { total_value: total, initial_capital: capital, today_pnl: today } = portfolio;
  const stale = portfolio.positions.some((position) => position.stale);
  container.classList.toggle('stale', stale);
  container.title = stale ? t('Some prices are old, so these values are.') : '';
  /** @type {Record<string, [text: string, note: string, direction?: number | null]>} */
  const metrics = {
    total_value: [formatMoney(total), t('from %(capital)s', { capital: formatMoney(capital) })],
    return_percentage: [formatPercent(portfolio.return_percentage), formatProfit(total - capital), total - capital],
    today_pnl: [formatProfit(today), shareOf(today, isNumber(today) ? total - today : null), today],
    unrealized_pnl: [
      formatProfit(portfolio.unrealized_pnl),
      t('Open positions: %(count)s', { count: formatNumber(portfolio.positions.length) }),
      portfolio.unrealized_pnl,
    ],
    realized_pnl: [
      formatProfit(portfolio.realized_pnl),
      shareOf(portfolio.realized_pnl, capital),
      portfolio.realized_pnl,
    ],
    fees_paid: [formatMoney(portfolio.fees_paid), shareOf(portfolio.fees_paid, capital, false)],
    token_cost: [formatMoney(portfolio.token_cost), shareOf(portfolio.token_cost, capital, false)],
    cash: [formatMoney(portfolio.cash), shareOf(portfolio.cash, total, false)],
    margin_used: [formatMoney(portfolio.margin_used), shareOf(portfolio.margin_used, total, false)],
  };
  for (const [key, [text, note, direction]] of Object.entries(metrics))
    showMetric(container, key, text, note, direction);
  // One account alone does not say what it made today.
  container
    .querySelector('[data-metric="today_pnl"]')
    ?.closest('.metric')
    ?.toggleAttribute('hidden', today === undefined);
}

/**
 * @param {number | null | undefined} amount
 * @param {number | null} whole
 * @param {boolean} [signed]
 */
function shareOf(amount, whole, signed = true) {
  return isNumber(amount) && whole ? formatPercent((100 * amount) / whole, signed) : '';
}

/**
 * @param {HTMLElement} container
 * @param {string} key
 * @param {string} text
 * @param {string} note
 * @param {number | null} [direction]
 */
function showMetric(container, key, text, note, direction) {
  const value = container.querySelector(`[data-metric="${key}"]`);
  const under = container.querySelector(`[data-note="${key}"]`);
  if (!value || !under) return; // not every page shows every figure
  setText(value, text);
  setText(under, note);
  value.className = `metric-value ${directionClass(direction)}`.trim();
}
