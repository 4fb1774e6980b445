/** The API's stable words (sides, signals, reasons, outcomes, …) as people say them. */

import { t } from './i18n.js';

/** @type {Record<string, string>} */
const WORDS = {
  long: t('Long'),
  short: t('Short'),

  buy_to_enter: t('Open long'),
  sell_to_enter: t('Open short'),
  close_position: t('Close'),
  hold: t('Hold'),

  open: t('Open'),
  close: t('Close'),
  liquidation: t('Liquidation'),
  funding: t('Funding'),

  signal: t('Signal'),
  stop_loss: t('Stop loss'),
  profit_target: t('Profit target'),
  trailing_stop: t('Trailing stop'),
  flatten: t('Closed by hand'),
  end_of_run: t('End of the run'),

  executed: t('Executed'),
  adjusted: t('Cut by risk'),
  held: t('Held'),
  refused: t('Refused'),

  off: t('Off'),
  conservative: t('Conservative'),
  balanced: t('Balanced'),
  aggressive: t('Aggressive'),

  running: t('Running'),
  done: t('Done'),
  failed: t('Failed'),
  interrupted: t('Interrupted'),
  queued: t('Queued'),
  cancelled: t('Cancelled'),

  sent: t('Sent'),
  ok: t('Answered'),
  parse_error: t('Unreadable'),
  http_error: t('Failed'),
  timeout: t('Timed out'),
  budget: t('Budget spent'),
  halted: t('Stopped by the kill switch'),
  error: t('Error'),
  decide: t('Decide'),
  repair: t('Ask again'),

  daily_loss_limit: t('Daily loss limit'),
  max_drawdown: t('Drawdown limit'),
  cool_down: t('Pause after a close'),
  available_cash: t('Available cash'),
  invalidated_already: t('Invalidated already'),
  invalid_trailing_stop: t('Invalid trailing stop'),
  invalid_stop_loss: t('Invalid stop loss'),
  invalid_profit_target: t('Invalid profit target'),
  unknown_coin: t('Unknown coin'),
  instrument_unknown: t('Trading rules unknown'),
  paused: t('Paused meanwhile'),
  archived: t('Archived meanwhile'),
  loop_elsewhere: t('Another process trades'),
  cycle_interrupted: t('Another process has taken over'),
  invalid_weight: t('Invalid share of equity'),
  invalidation: t('Invalidation'),
  cool_down_minutes: t('Pause after a close (minutes)'),
  trading_halted: t('Stopped by the kill switch'),
  fence_removed: t('code fence removed'),
  text_removed: t('text around it removed'),
  reasoning_removed: t('thinking removed'),
  tag_removed: t('tag removed'),
  json_repaired: t('JSON mended'),
  earlier_draft_dropped: t('earlier draft dropped'),
  size_of_close_dropped: t('size of a close dropped'),
  zero_size_dropped: t('size of zero dropped'),

  max_leverage: t('Leverage limit'),
  max_position: t('Position size limit'),
  max_notional: t('Total exposure limit'),
  max_risk: t('Risk per trade limit'),
  max_open_positions: t('Open positions limit'),
  confidence_too_low: t('Confidence too low'),
  stop_on_wrong_side: t('Stop on the wrong side of the price'),
  target_on_wrong_side: t('Target on the wrong side of the price'),
  not_an_entry: t('Not an entry'),
  invalid_leverage: t('Invalid leverage'),
  invalid_quantity: t('Invalid quantity'),
  invalid_price: t('Invalid price'),
  below_min_notional: t('Below the minimum order size'),
  insufficient_cash: t('Not enough cash'),
  no_position: t('No open position'),
  opposite_position_open: t('A position on the other side is open'),
  coin_not_in_pool: t('Coin not in the pool'),
  coin_inactive: t('Coin inactive'),
  not_in_pool: t('Not in the pool'),
  disabled_in_pool: t('Disabled in the pool'),
  inactive: t('Inactive'),
  not_trading: t('Traded on no exchange'),
  symbol_taken: t('Already added'),
  coin_stale: t('Price too old'),
  stale_price: t('Price too old'),
  no_price: t('No price'),
};

/** @param {string | null | undefined} code an unknown one is shown as it is, without underscores */
export function word(code) {
  return code ? (WORDS[code] ?? code.replaceAll('_', ' ')) : '';
}

/** Whether there is a word for it. @param {string} code */
export const known = (code) => code in WORDS;

/** @type {Record<string, string>} */
const SOURCE_NAMES = { binance: 'Binance', okx: 'OKX', coingecko: 'CoinGecko' };

/** A data source as it calls itself. @param {string} source */
export const sourceName = (source) => SOURCE_NAMES[source] ?? source;

/** @param {string} side @returns {string} the class of its badge */
export const sideBadge = (side) => (side === 'long' ? 'badge badge-up' : 'badge badge-down');
