/** What a data alert says in the page's language: by its code and values. */

import { formatNumber, formatPercent, formatPrice, formatTime } from './format.js';
import { languageTag, t } from './i18n.js';
import { failureText } from './source-words.js';
import { sourceName } from './words.js';

/**
 * @typedef {object} Alert
 * @property {number} id
 * @property {string} time
 * @property {'deviation' | 'jump' | 'gap' | 'dropped' | 'source_down'} kind
 * @property {string} source
 * @property {string | null} coin
 * @property {string} message in English
 * @property {string | null} code null in an alert of an earlier version
 * @property {Record<string, any>} values
 */

/** @typedef {{ source: string, price: number, percent: number }} Other */

/** @type {Record<string, (values: Record<string, string>) => string>} */
const SENTENCES = {
  apart: (values) => t('%(coin)s is %(price)s at %(source)s, but %(others)s.', values),
  held_back: (values) => t('%(coin)s is %(price)s at %(source)s, but %(others)s; it is held back for a moment.', values),
  outlier: (values) => t('%(coin)s is %(price)s at %(source)s, but %(others)s; it is the outlier, left out.', values),
  jumped_alone: (values) =>
    t('%(source)s: %(coin)s jumped by %(percent)s, from %(before)s to %(price)s, but %(others)s; it is left out.', values),
  jump_held: (values) =>
    t('%(source)s: %(coin)s jumped by %(percent)s, from %(before)s to %(price)s; it is held back until a second look.', values),
  gap: (values) =>
    t('%(source)s lacks candles of %(coin)s: %(bars)s of %(interval)s in %(gaps)s gaps, the first from %(first)s.', values),
  dropped_candles: (values) => t('Candles of %(coin)s (%(interval)s) from %(source)s that were not sound, left out: %(rows)s', values),
  dropped_prices: (values) => t('Prices of %(source)s that were old or not sound, left out: %(rows)s', values),
  left_alone: (values) => t('%(source)s is left alone for a while: %(reason)s', values),
};

const listFormat = new Intl.ListFormat(languageTag);

/** @param {Alert} alert */
export function alertText({ code, message, source, coin, values }) {
  const sentence = SENTENCES[code ?? ''];
  return sentence ? sentence({ ...shown(values), source: sourceName(source), coin: coin ?? '' }) : message;
}

/** The values as texts. @param {Record<string, any>} values @returns {Record<string, string>} */
function shown({ price, before, percent, others, first, reason, said, ...rest }) {
  return {
    ...Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, typeof value === 'number' ? formatNumber(value) : String(value)])),
    ...(price === undefined ? {} : { price: formatPrice(price) }),
    ...(before === undefined ? {} : { before: formatPrice(before) }),
    ...(percent === undefined ? {} : { percent: formatPercent(percent) }),
    ...(others === undefined ? {} : { others: listFormat.format(others.map(otherText)) }),
    ...(first === undefined ? {} : { first: formatTime(first, 'full') }),
    ...(said === undefined ? {} : { reason: failureText(reason, said) }),
  };
}

/** @param {Other} other */
const otherText = ({ source, price, percent }) => `${sourceName(source)} ${formatPrice(price)} (${formatPercent(percent)})`;
