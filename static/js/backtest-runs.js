/**
 * Backtests as rows: what each one ran, how it stands, how far it is.
 *
 * @typedef {object} Run one row of /api/backtests
 * @property {number} id
 * @property {'queued' | 'running' | 'done' | 'failed' | 'cancelled'} status
 * @property {number} progress 0 to 1
 * @property {Record<string, any>} config
 * @property {string | null} error
 * @property {string | null} code
 * @property {Record<string, any>} values what the error speaks of
 * @property {string} created_at
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {Record<string, any> | null} summary null until done
 * @property {number | null} [model_id]
 * @property {Record<string, any> | null} [report]
 *
 * @typedef {object} Progress what the stream tells of a running one
 * @property {number} id
 * @property {Run['status']} status
 * @property {number} progress
 * @property {number | null} [bars_per_second]
 * @property {number | null} [seconds_left]
 * @property {number | null} [equity]
 */

import { element } from './element.js';
import { formatAge, formatMoney, formatVolume, isNumber } from './format.js';
import { t } from './i18n.js';
import { progressLine } from './progress-line.js';
import { failureText } from './backtest-failures.js';

/** @type {Record<Run['status'], [label: string, badge: string]>} */
const STATUSES = {
  queued: [t('Queued'), 'badge badge-muted'],
  running: [t('Running'), 'badge badge-accent'],
  done: [t('Done'), 'badge badge-ok'],
  failed: [t('Failed'), 'badge badge-error'],
  cancelled: [t('Cancelled'), 'badge badge-muted'],
};

/** @param {Run} run */
export const isUnfinished = ({ status }) => status === 'queued' || status === 'running';

/** @param {Run['status']} status */
export const statusWord = (status) => STATUSES[status]?.[0] ?? status;

/** @param {Run} run */
export function statusBadge({ status, error, code, values }) {
  const badge = STATUSES[status]?.[1] ?? 'badge';
  return element('span', { class: badge, title: error && failureText({ error, code, values }), 'data-testid': 'backtest-status' }, statusWord(status));
}

/**
 * Who trades, in few words: `MA cross 20/50`.
 *
 * @param {Run} run
 * @param {ReadonlyMap<string, string>} traderNames
 */
export function runName({ config }, traderNames) {
  const name = traderNames.get(config['trader']) ?? config['trader'] ?? '';
  const { fast, slow } = config['params'] ?? {};
  return fast !== undefined && slow !== undefined ? `${name} ${fast}/${slow}` : name;
}

/** @param {Run} run */
export const runRange = ({ config }) => `${config['start_date']} – ${config['end_date']}`;

/** @param {Run} run at most four coins by name */
export function runCoins({ config }) {
  const coins = config['coins'] ?? [];
  return coins.length > 4 ? `${coins.slice(0, 3).join(', ')} +${coins.length - 3}` : coins.join(', ');
}

/** A progress bar with what is known of the rest. @param {string} label */
export function runProgressLine(label) {
  const line = progressLine(label, 'backtest');
  return {
    node: line.node,
    /** @param {Progress} progress */
    show({ status, progress, bars_per_second: speed, seconds_left: left, equity }) {
      const words = [
        status === 'queued' ? t('waiting for its turn') : '',
        isNumber(speed) ? t('%(bars)s bars/s', { bars: formatVolume(speed) }) : '',
        isNumber(left) ? t('%(time)s left', { time: formatAge(Math.ceil(left)) }) : '',
        isNumber(equity) ? t('equity so far %(money)s', { money: formatMoney(equity) }) : '',
      ];
      line.show(progress, words.filter(Boolean).join(' · '));
    },
  };
}
