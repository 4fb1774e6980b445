/** What was wrong with the data: deviations, jumps, gaps, dropped rows, sources that fell out. */

/** @typedef {import('./data-alert-words.js').Alert} Alert */

import { get } from './api.js';
import { alertText } from './data-alert-words.js';
import { element } from './element.js';
import { emptyState } from './failure.js';
import { formatTime, NOTHING } from './format.js';
import { t } from './i18n.js';
import { dataTable } from './table.js';
import { sourceName } from './words.js';

const MOST_ALERTS = 200;

/** @type {Record<string, [word: string, badge: string]>} */
const KINDS = {
  deviation: [t('Deviation'), 'badge badge-warn'],
  jump: [t('Price jump'), 'badge badge-warn'],
  gap: [t('Gap'), 'badge badge-muted'],
  dropped: [t('Bad rows'), 'badge badge-muted'],
  source_down: [t('Source down'), 'badge badge-error'],
};

/** @param {Alert} alert */
const kindWord = ({ kind }) => KINDS[kind]?.[0] ?? kind;

/**
 * @param {HTMLElement} container
 * @param {{ filter: HTMLInputElement, exportButton: HTMLElement }} options
 */
export function alertTable(container, { filter, exportButton }) {
  const table = dataTable(container, {
    label: t('Alerts'),
    testId: 'data-alerts',
    urlKey: 'alerts',
    order: '-time',
    fileName: 'data-alerts',
    filter,
    exportButton,
    keyOf: (/** @type {Alert} */ { id }) => id,
    empty: () => emptyState(t('Nothing was wrong with the data so far. What a source gets wrong is told here.')),
    columns: [
      { key: 'time', label: t('Time'), value: ({ time }) => time, show: ({ time }) => formatTime(time, 'full') },
      { key: 'kind', label: t('Kind of alert'), value: kindWord, show: (alert) => element('span', { class: KINDS[alert.kind]?.[1] ?? 'badge' }, kindWord(alert)) },
      { key: 'source', label: t('Source'), value: ({ source }) => sourceName(source) },
      { key: 'coin', label: t('Coin'), value: ({ coin }) => coin, show: ({ coin }) => coin ?? NOTHING },
      { key: 'message', label: t('What happened'), value: alertText, show: (alert) => element('span', { title: alert.message }, alertText(alert)), className: () => 'wrap' },
    ],
  });

  async function load() {
    table.update(await get('/api/data-alerts', { limit: MOST_ALERTS }));
  }

  return { load };
}
