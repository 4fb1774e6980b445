/** How the process is, and in words why it cannot trade. */

import { ApiError, get } from './api.js';
import { t } from './i18n.js';

/** @typedef {{ code: string, message: string, stops_trading: boolean }} Reason */

/** @type {Record<string, () => string>} */
const SENTENCES = {
  database_unwritable: () => t('The database cannot be written.'),
  disk_nearly_full: () => t('The disk is nearly full.'),
  no_loop: () => t('No process runs the trading loop.'),
  scheduler_dead: () => t('What starts the cycles has died.'),
  cycles_overdue: () => t('Cycles are overdue.'),
  no_prices: () => t('No source brings prices.'),
};

/** Also where it cannot trade, which is told with a 503. @returns {Promise<any>} */
export async function getHealth() {
  try {
    return await get('/api/health');
  } catch (error) {
    if (error instanceof ApiError && error.answer?.status) return error.answer;
    throw error;
  }
}

/** Why nothing can be traded; empty while it can. @param {Reason[]} [reasons] @returns {string} */
export function whyNoTrading(reasons = []) {
  const serious = reasons.filter((reason) => reason.stops_trading);
  return serious.map(({ code, message }) => SENTENCES[code]?.() ?? message).join(' ');
}
