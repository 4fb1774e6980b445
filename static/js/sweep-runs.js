/**
 * Searches as rows of the Backtest page.
 *
 * @typedef {object} Sweep one row of /api/backtests/sweeps
 * @property {number} id
 * @property {'queued' | 'running' | 'done' | 'failed' | 'cancelled'} status
 * @property {number} progress 0 to 1
 * @property {number} tries
 * @property {number} skipped
 * @property {Record<string, any>} config
 * @property {string | null} error
 * @property {string | null} code
 * @property {Record<string, any>} values what the error speaks of
 * @property {string} created_at
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {Record<string, any> | null} [result]
 */

import { get, post, remove } from './api.js';
import { runCoins, runName, runRange, statusBadge, statusWord } from './backtest-runs.js';
import { confirmed } from './dialog.js';
import { byId, element } from './element.js';
import { emptyState } from './failure.js';
import { formatNumber, formatTime } from './format.js';
import { t } from './i18n.js';
import { axisLabel } from './sweep-axes.js';
import { dataTable } from './table.js';
import { toastError } from './toast.js';

const POLL_MS = 1_000;
const MOST_SWEEPS = 100;

/** @param {Sweep} sweep */
export const isUnderWay = ({ status }) => status === 'queued' || status === 'running';

/** A search as its run, for the words that name one; what varies is no part of them. @param {Sweep} sweep @returns {import('./backtest-runs.js').Run} */
export function asRun(sweep) {
  const { run, ranges } = sweep.config;
  const params = Object.fromEntries(Object.entries(run.params).filter(([name]) => !(name in ranges)));
  return { ...sweep, config: { ...run, params }, summary: null };
}

/** What varies: `fast × slow`. @param {Sweep} sweep */
export const axesText = ({ config }) => Object.keys(config['ranges']).map(axisLabel).join(' × ');

/**
 * The card of searches; it reads again while one is under way.
 *
 * @param {ReadonlyMap<string, string>} traderNames
 */
export function sweepList(traderNames) {
  /** @type {Sweep[]} */
  let sweeps = [];
  const table = dataTable(byId('sweeps'), {
    label: t('Searches'),
    columns: columns(traderNames),
    keyOf: (/** @type {Sweep} */ { id }) => id,
    order: '-id',
    testId: 'sweeps',
    empty: () => emptyState(t('No search has been made yet.')),
  });

  async function read() {
    sweeps = await get('/api/backtests/sweeps', { limit: MOST_SWEEPS });
    byId('sweeps-card').hidden = sweeps.length === 0;
    table.update(sweeps);
  }

  byId('sweeps').addEventListener('click', async (event) => {
    const button = /** @type {HTMLButtonElement | null} */ (/** @type {HTMLElement} */ (event.target).closest('button[data-verb]'));
    const id = Number(button?.closest('tr')?.dataset['key']);
    if (!button) return;
    try {
      if (button.dataset['verb'] === 'cancel') await post(`/api/backtests/sweeps/${id}/cancel`);
      else if (await sureToDelete(id)) await remove(`/api/backtests/sweeps/${id}`);
      await read();
    } catch (error) {
      toastError(error);
    }
  });
  setInterval(() => {
    if (sweeps.some(isUnderWay) && !document.hidden) read().catch(() => {}); // the next time tells
  }, POLL_MS);
  return { read };
}

/** @param {number} id */
function sureToDelete(id) {
  return confirmed({ title: t('Delete search %(id)s', { id }), message: t('The search and its table are deleted. This cannot be undone.'), confirmLabel: t('Delete') });
}

/**
 * @param {ReadonlyMap<string, string>} traderNames
 * @returns {import('./table.js').Column<Sweep>[]}
 */
function columns(traderNames) {
  return [
    { key: 'id', label: '#', value: ({ id }) => id, show: ({ id }) => element('a', { href: `/backtest/sweeps/${id}`, 'data-testid': 'open-sweep' }, `#${id}`) },
    {
      key: 'trader',
      label: t('Trader'),
      value: (sweep) => runName(asRun(sweep), traderNames),
      show: (sweep) => element('span', {}, runName(asRun(sweep), traderNames), element('span', { class: 'cell-note' }, `${runCoins(asRun(sweep))} · ${runRange(asRun(sweep))}`)),
    },
    { key: 'axes', label: t('Varies'), value: axesText },
    { key: 'tries', label: t('Combinations'), number: true, value: ({ tries }) => tries, show: ({ tries }) => formatNumber(tries) },
    { key: 'status', label: t('Status'), value: ({ status }) => statusWord(status), show: statusCell },
    { key: 'created', label: t('Asked for'), value: ({ created_at: time }) => time, show: ({ created_at: time }) => formatTime(time, 'monthDay') },
    { key: 'actions', label: t('Actions'), show: actionButton, className: () => 'actions' },
  ];
}

/** @param {Sweep} sweep */
function statusCell(sweep) {
  const percent = sweep.status === 'running' ? ` ${formatNumber(100 * sweep.progress)} %` : '';
  return element('span', {}, statusBadge(asRun(sweep)), percent);
}

/** @param {Sweep} sweep */
function actionButton(sweep) {
  const [verb, label, name] = isUnderWay(sweep)
    ? ['cancel', t('Cancel'), t('Cancel search %(id)s', { id: sweep.id })]
    : ['delete', t('Delete'), t('Delete search %(id)s', { id: sweep.id })];
  return element('button', { type: 'button', class: 'button button-quiet button-small', 'aria-label': name, 'data-verb': verb, 'data-testid': `${verb}-sweep` }, label);
}
