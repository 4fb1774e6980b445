/** What the reader of a backtest's figures should know, in the page's language: by code and values. */

import { formatNumber, formatPercent, formatTime } from './format.js';
import { languageTag, t } from './i18n.js';

/** @typedef {{ code: string, values: Record<string, any>, message: string }} ReportWarning */

/** The same sentences as in backtest_warnings.py. @type {Record<string, (values: Record<string, string>) => string>} */
const SENTENCES = {
  few_trades: (values) => t('Only %(count)s round trips closed: with fewer than %(fewest)s, figures about trades mean little.', values),
  luck: (values) => t('Random entries of the same number, length and size did as well in %(percent)s of runs: this result may be luck.', values),
  sharpe_interval: (values) => t('The interval of 95 of 100 for the Sharpe ratio reaches below zero.', values),
  still_open: (values) => t('Still open at the end, valued at the last price and not among the trades: %(coins)s.', values),
  liquidations: (values) => t('Positions that were liquidated: %(count)s.', values),
  refused: (values) => t('Decisions that were refused: %(count)s.', values),
  short_warmup: (values) => t('%(coin)s has %(bars)s bars before the start where %(wanted)s were wanted: its first decisions had less to go by.', values),
  missing_bars: (values) => t('%(coin)s lacks %(bars)s bars inside the range; it kept its last price.', values),
  begins_late: (values) => t('The candles of %(coin)s begin after the range: %(time)s.', values),
  ends_early: (values) => t('The candles of %(coin)s end before the range: %(time)s.', values),
  no_lots: (values) => t('No lot size is known of %(coins)s: quantities were not rounded.', values),
  cutoff_unknown: (values) => t('It is not known until when %(model)s has learnt: it may remember these prices, and then this result is no evidence.', values),
  inside_knowledge: (values) => t('%(model)s has learnt from texts up to %(cutoff)s: %(bars)s bars lie before that, and what it earned on them is no evidence. Only the figures after it are.', values),
  unusable_answers: (values) => t('Answers that could not be used, so that nothing was traded: %(count)s.', values),
};

/** @param {ReportWarning | string} warning a sentence alone in reports of earlier versions */
export function warningText(warning) {
  if (typeof warning === 'string') return warning;
  return SENTENCES[warning.code]?.(written(warning.values)) ?? warning.message;
}

/** @param {Record<string, any>} values */
function written(values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, asText(name, value)]));
}

/** @param {string} name @param {any} value */
function asText(name, value) {
  if (Array.isArray(value)) return new Intl.ListFormat(languageTag).format(value);
  if (name === 'percent') return formatPercent(value, false);
  if (name === 'time') return formatTime(value);
  return typeof value === 'number' ? formatNumber(value) : String(value);
}
