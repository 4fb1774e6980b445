/** What brings candles into the store: a sync from the exchanges, and files of Binance's public archive. */

import { ApiError, get, post, upload } from './api.js';
import { coinPicker } from './coin-picker.js';
import { element } from './element.js';
import { field, select } from './fields.js';
import { formDialog } from './form-dialog.js';
import { getHealth } from './health.js';
import { t } from './i18n.js';
import { INTERVALS } from './klines.js';
import { progressLine } from './progress-line.js';

const DAY_MS = 86_400_000;
const DAYS_AT_FIRST = 30;
const MEGABYTE = 1_000_000;
const LARGEST_FILE_BYTES = 200 * MEGABYTE;

/** The day in UTC. @param {number} time milliseconds */
const isoDay = (time) => new Date(time).toISOString().slice(0, 10);

/**
 * @param {object} [given] what the form begins with
 * @param {string[]} [given.coins]
 * @param {string} [given.interval]
 * @param {number} [given.start] milliseconds
 * @param {number} [given.end] milliseconds
 * @returns {Promise<any>} the job's id, or null when nothing was asked for
 */
export async function askForSync(given = {}) {
  const [coins, health] = await Promise.all([get('/api/coins'), getHealth()]);
  const now = Date.parse(health.now);
  const picked = element('div', { class: 'form' });
  const first = coins[0] ? [coins[0].symbol] : [];
  const picker = coinPicker(picked, { coins, chosen: given.coins ?? first });
  const interval = select(Object.fromEntries([...INTERVALS.keys()].map((name) => [name, name])), given.interval ?? '1h');
  const start = dateInput(isoDay(given.start ?? now - DAYS_AT_FIRST * DAY_MS), isoDay(now), true);
  const end = dateInput(given.end === undefined ? '' : isoDay(given.end), isoDay(now), false);

  return formDialog({
    title: t('Sync candles'),
    name: 'sync',
    saveLabel: t('Sync'),
    content: [
      element('p', { class: 'muted' }, t('What is missing of these candles is fetched from the exchanges; what is stored is not asked for again.')),
      element(
        'div',
        { 'data-field': 'coins' },
        element('fieldset', { class: 'fieldset' }, element('legend', {}, t('Coins')), picked),
        element('p', { class: 'field-error', 'data-testid': 'error-coins' }),
      ),
      element(
        'div',
        { class: 'form-row' },
        field({ name: 'interval', label: t('Interval'), control: interval }),
        field({ name: 'start', label: t('From (UTC day)'), control: start }),
        field({ name: 'end', label: t('Up to and including (UTC day)'), control: end, hint: t('Empty: up to now') }),
      ),
    ],
    send: () => {
      if (!picker.chosen().length) throw wrong('coins', t('Choose at least one coin.'));
      const body = { coins: picker.chosen(), interval: interval.value, start: `${start.value}T00:00:00Z` };
      return post('/api/data/sync', end.value ? { ...body, end: `${isoDay(Date.parse(end.value) + DAY_MS)}T00:00:00Z` } : body);
    },
  });
}

/**
 * @param {string} value
 * @param {string} max
 * @param {boolean} required
 */
function dateInput(value, max, required) {
  return element('input', { class: 'input', type: 'date', value, max, required });
}

/**
 * @param {string} name
 * @param {string} reason
 */
const wrong = (name, reason) => new ApiError(t('Please correct the marked fields.'), 400, 'invalid_input', { [name]: reason });

/** @returns {Promise<any>} the job's id, or null when nothing was sent */
export async function askForImport() {
  const file = element('input', { class: 'input', type: 'file', accept: '.csv,.zip,.gz', required: true });
  const progress = progressLine(t('Sending the file'), 'upload');
  const giveUp = new AbortController();
  progress.node.hidden = true;

  const answer = await formDialog({
    title: t('Import a file'),
    name: 'import',
    saveLabel: t('Import'),
    content: [
      element('p', { class: 'muted' }, t('A file of Binance’s public archive under its own name, as BTCUSDT-1m-2024-03.zip: 12 columns, as zip, gzip or CSV. Candles that are stored already stay.')),
      field({ name: 'file', label: t('File'), control: file, hint: t('At most %(size)s MB', { size: LARGEST_FILE_BYTES / MEGABYTE }) }),
      progress.node,
    ],
    send: async () => {
      const [chosen] = file.files ?? [];
      if (!chosen) throw wrong('file', t('This is needed.'));
      if (chosen.size > LARGEST_FILE_BYTES) throw wrong('file', t('At most %(size)s MB', { size: LARGEST_FILE_BYTES / MEGABYTE }));
      const form = new FormData();
      form.append('file', chosen);
      progress.node.hidden = false;
      try {
        return await upload('/api/data/import', form, (sent) => progress.show(sent, t('Sending the file')), giveUp.signal);
      } finally {
        progress.node.hidden = true;
      }
    },
  });
  if (!answer) giveUp.abort(); // the dialog was closed while the file was on its way
  return answer;
}
