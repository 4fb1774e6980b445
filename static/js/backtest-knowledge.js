/** What a language model may have remembered: the figures up to its knowledge cut-off, and after it. */

import { byId, element } from './element.js';
import { directionClass, formatNumber, formatPercent, formatTime, NOTHING } from './format.js';
import { t } from './i18n.js';
import { dataTable } from './table.js';

/**
 * @typedef {object} Part the figures of one side of the cut-off
 * @property {string} start ISO 8601
 * @property {string} end
 * @property {number} bars
 * @property {number} return_percentage
 * @property {number} max_drawdown percent
 * @property {number | null} sharpe
 * @property {number} total_trades
 * @property {number | null} win_rate
 *
 * @typedef {{ cutoff: string | null, ends: string | null, inside: Part | null, outside: Part | null }} Knowledge
 */

/**
 * Shows the card where the cut-off is known.
 *
 * @param {Knowledge | undefined} knowledge of the report; runs without a language model have none
 * @returns {number | null} until when the model may remember the prices, in milliseconds
 */
export function showKnowledge(knowledge) {
  byId('knowledge-card').hidden = !knowledge?.ends;
  if (!knowledge?.ends) return null;
  const parts = [
    { key: 'inside', name: t('Up to %(cutoff)s: no evidence', { cutoff: String(knowledge.cutoff) }), part: knowledge.inside },
    { key: 'outside', name: t('After it'), part: knowledge.outside },
  ];
  partsTable().update(parts);
  return Date.parse(knowledge.ends);
}

function partsTable() {
  /** @typedef {{ key: string, name: string, part: Part | null }} Row */
  const figure = (/** @type {string} */ key, /** @type {string} */ label, /** @type {(part: Part) => string} */ text, /** @type {(part: Part) => string} */ className = () => '') => ({
    key,
    label,
    number: true,
    show: (/** @type {Row} */ { part }) => (part ? text(part) : NOTHING),
    className: (/** @type {Row} */ { part }) => (part ? className(part) : ''),
  });
  return dataTable(byId('knowledge'), {
    label: t('Before and after the knowledge cut-off'),
    keyOf: (/** @type {Row} */ { key }) => key,
    testId: 'knowledge',
    empty: () => element('span'),
    columns: [
      { key: 'name', label: t('Part'), value: ({ name }) => name },
      figure('bars', t('Bars'), ({ bars }) => formatNumber(bars)),
      figure('from', t('From'), ({ start }) => formatTime(start, 'day')),
      figure('to', t('To'), ({ end }) => formatTime(Date.parse(end) - 1, 'day')), // it ends before midnight
      figure('return', t('Return'), (part) => formatPercent(part.return_percentage), (part) => directionClass(part.return_percentage)),
      figure('drawdown', t('Maximum drawdown'), (part) => formatPercent(part.max_drawdown, false)),
      figure('sharpe', t('Sharpe ratio'), ({ sharpe }) => formatNumber(sharpe, 2)),
      figure('trades', t('Closed trades'), (part) => formatNumber(part.total_trades)),
      figure('win_rate', t('Win rate'), (part) => formatPercent(part.win_rate, false)),
    ],
  });
}
