/** The figures of a finished backtest, in the cards that the template holds. */

import { setText } from './element.js';
import { directionClass, formatMoney, formatNumber, formatPercent, formatProfit, isNumber, NOTHING } from './format.js';
import { t } from './i18n.js';

/** @typedef {{ value: string, className?: string, note?: string }} Figure */

/** @param {Record<string, any>} summary of the report */
export function showMetrics(summary) {
  for (const [name, { value, className = '', note = '' }] of Object.entries(figures(summary))) {
    const node = document.querySelector(`[data-metric="${name}"]`);
    const noteNode = document.querySelector(`[data-note="${name}"]`);
    if (!node || !noteNode) throw new Error(`The page has no card for ${name}`);
    setText(node, value);
    node.className = `metric-value ${className}`;
    setText(noteNode, note);
  }
}

/** @param {Record<string, any>} summary @returns {Record<string, Figure>} */
function figures(summary) {
  const percent = (/** @type {string} */ key) => formatPercent(summary[key]);
  return {
    final_value: { value: formatMoney(summary['final_value']), note: t('from %(money)s', { money: formatMoney(summary['initial_capital']) }) },
    return_percentage: {
      value: percent('return_percentage'),
      className: directionClass(summary['return_percentage']),
      note: intervalNote(summary['return_interval'], formatPercent) || t('too few days for an interval'),
    },
    buy_and_hold: {
      value: percent('buy_and_hold_return_percentage'),
      className: directionClass(summary['buy_and_hold_return_percentage']),
      note: t('equal weight %(percent)s', { percent: percent('equal_weight_return_percentage') }),
    },
    max_drawdown: {
      value: formatPercent(summary['max_drawdown'], false),
      note: t('longest %(days)s days', { days: formatNumber(summary['longest_drawdown_days'], 1) }),
    },
    sharpe: {
      value: formatNumber(summary['sharpe'], 2),
      note: intervalNote(summary['sharpe_interval'], (bound) => formatNumber(bound, 2)) || t('Sortino %(ratio)s', { ratio: formatNumber(summary['sortino'], 2) }),
    },
    luck_probability: {
      value: isNumber(summary['luck_probability']) ? formatPercent(summary['luck_probability'] * 100, false) : NOTHING,
      note: t('of random entries do as well'),
    },
    alpha: {
      value: percent('alpha'),
      className: directionClass(summary['alpha']),
      note: t('beta %(beta)s', { beta: formatNumber(summary['beta'], 2) }),
    },
    var_95: {
      value: formatPercent(summary['var_95'], false),
      note: t('beyond it %(percent)s on average', { percent: formatPercent(summary['cvar_95'], false) }),
    },
    cagr: {
      value: percent('cagr'),
      className: directionClass(summary['cagr']),
      note: t('volatility %(percent)s', { percent: formatPercent(summary['volatility'], false) }),
    },
    calmar: { value: formatNumber(summary['calmar'], 2), note: t('growth over drawdown') },
    ...tradeFigures(summary),
  };
}

/**
 * @param {[number, number] | null | undefined} interval
 * @param {(bound: number) => string} format
 */
function intervalNote(interval, format) {
  return interval ? t('%(low)s to %(high)s in 95 of 100', { low: format(interval[0]), high: format(interval[1]) }) : '';
}

/** @param {Record<string, any>} summary @returns {Record<string, Figure>} */
function tradeFigures(summary) {
  const open = summary['open_positions'];
  return {
    total_trades: {
      value: formatNumber(summary['total_trades']),
      note: [
        t('%(time)s on average', { time: formatHours(summary['average_holding_hours']) }),
        open ? t('%(count)s open', { count: open }) : '',
      ].filter(Boolean).join(' · '),
    },
    win_rate: {
      value: formatPercent(summary['win_rate'], false),
      note: t('%(won)s won, %(lost)s lost', { won: formatNumber(summary['winning_trades']), lost: formatNumber(summary['losing_trades']) }),
    },
    profit_factor: { value: formatNumber(summary['profit_factor'], 2), note: t('%(money)s a trade', { money: formatProfit(summary['expectancy']) }) },
    best_trade: {
      value: formatProfit(summary['best_trade']),
      className: directionClass(summary['best_trade']),
      note: t('worst %(money)s', { money: formatProfit(summary['worst_trade']) }),
    },
    total_fees: {
      value: formatMoney(summary['total_fees']),
      note: summary['total_funding'] ? t('funding %(money)s', { money: formatProfit(summary['total_funding']) }) : '',
    },
    turnover: { value: formatNumber(summary['turnover'], 1), note: t('times the account') },
    total_slippage: { value: formatMoney(summary['total_slippage']), note: t('beyond the fees') },
    streaks: {
      value: t('%(count)s won', { count: formatNumber(summary['longest_winning_streak']) }),
      note: t('%(count)s lost', { count: formatNumber(summary['longest_losing_streak']) }),
    },
    sqn: { value: formatNumber(summary['sqn'], 2), note: t('ulcer index %(percent)s', { percent: formatPercent(summary['ulcer_index'], false) }) },
    exposure_percentage: {
      value: formatPercent(summary['exposure_percentage'], false),
      note: t('%(count)s liquidations', { count: formatNumber(summary['liquidations']) }),
    },
  };
}

/** @param {number | null | undefined} hours */
export function formatHours(hours) {
  if (!isNumber(hours)) return NOTHING;
  if (hours < 1) return t('%(count)s min', { count: formatNumber(hours * 60) });
  if (hours < 48) return t('%(count)s h', { count: formatNumber(hours, 1) });
  return t('%(count)s d', { count: formatNumber(hours / 24, 1) });
}
