/** Backups of the database: those that there are, one more now, and their files. */

import { get, post } from './api.js';
import { byId, element } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { field } from './fields.js';
import { formDialog } from './form-dialog.js';
import { formatNumber, formatTime } from './format.js';
import { languageTag, t } from './i18n.js';
import { dataTable } from './table.js';
import { toast } from './toast.js';

/** @typedef {{ name: string, made_at: string, size: number, with_keys: boolean }} Backup */

const MEGABYTE = 1_000_000;
const megabytes = new Intl.NumberFormat(languageTag, { style: 'unit', unit: 'megabyte', maximumFractionDigits: 1 });

/** @type {import('./table.js').Column<Backup>[]} */
const columns = [
  {
    key: 'made',
    label: t('Made'),
    value: (backup) => backup.made_at,
    show: (backup) => formatTime(backup.made_at, 'full'),
    className: () => 'tabular',
  },
  { key: 'size', label: t('File size'), number: true, value: ({ size }) => size, show: ({ size }) => megabytes.format(size / MEGABYTE) },
  {
    key: 'keys',
    label: t('Keys'),
    value: (backup) => (backup.with_keys ? t('with keys') : t('without keys')),
  },
  { key: 'name', label: t('File'), value: ({ name }) => name, show: ({ name }) => element('span', { class: 'code' }, name) },
  {
    key: 'download',
    label: t('Actions'),
    show: ({ name }) =>
      element(
        'div',
        {},
        element(
          'a',
          {
            class: 'button button-small',
            href: `/api/backups/${encodeURIComponent(name)}`,
            download: name,
            'aria-label': t('Download %(name)s', { name }),
            'data-testid': 'download-backup',
          },
          t('Download'),
        ),
      ),
    className: () => 'actions',
  },
];

/** Fills the table and listens to the button. */
export function startBackups() {
  const place = byId('backup-list');
  const table = dataTable(place, {
    label: t('Backups'),
    testId: 'backups',
    columns,
    keyOf: ({ name }) => name,
    empty: () => emptyState(t('No backups yet: make one now, or wait for the next that is due.')),
  });

  async function load() {
    try {
      table.update((await get('/api/backups')).backups);
    } catch (error) {
      showFailure(place, error, load);
    }
  }

  byId('new-backup').addEventListener('click', async () => {
    const made = await askForBackup();
    if (!made) return;
    toast(t('A backup has been made: %(size)s MB', { size: formatNumber(made.size / MEGABYTE, 1) }));
    await load();
  });
  load();
}

/** @returns {Promise<Backup | null>} */
function askForBackup() {
  const withKeys = element('input', { type: 'checkbox' });
  return formDialog({
    title: t('Make a backup'),
    name: 'backup',
    saveLabel: t('Make the backup'),
    content: [
      element('p', {}, t('A copy of the whole database, made while trading goes on. It is put back by: %(command)s', { command: 'flask --app app db restore FILE' })),
      field({
        name: 'with_keys',
        label: t('Also the keys of providers, and what the password and tokens are checked by'),
        control: withKeys,
        hint: t('Sealed, but better kept from others. Without them they are entered anew after a restore.'),
      }),
    ],
    send: () => post('/api/backups', { with_keys: withKeys.checked }),
  });
}
