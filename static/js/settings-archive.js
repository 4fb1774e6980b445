/** Where old candles are, and how much of them. */

import { get } from './api.js';
import { element, replaceContent } from './element.js';
import { formatNumber, formatTime } from './format.js';
import { t } from './i18n.js';

/** @param {HTMLElement} place */
export async function showArchive(place) {
  const { place: where, months, series, bars, from, to } = await get('/api/data/archive');
  /** @type {[string, import('./element.js').Child][]} */
  const rows = [
    [t('Place'), element('span', { class: 'code' }, where)],
    [
      t('Archived'),
      months === 0
        ? t('Nothing yet: every candle is in the database.')
        : t('%(months)s months of %(series)s series, %(bars)s candles', {
            months: formatNumber(months),
            series: formatNumber(series),
            bars: formatNumber(bars),
          }),
    ],
  ];
  if (months > 0) rows.push([t('From – to'), `${formatTime(from, 'day')} – ${formatTime(to, 'day')}`]);
  replaceContent(
    place,
    element(
      'dl',
      { class: 'details' },
      ...rows.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]),
      element('dt', {}, t('To archive')),
      element('dd', { class: 'code' }, 'flask --app app klines archive'),
    ),
    element('p', { class: 'field-hint' }, element('a', { href: '/data' }, t('What is stored of each coin'))),
  );
}
