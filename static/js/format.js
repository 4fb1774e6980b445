/** Numbers, times and ages as people read them, in the page's language. */

import { languageTag, locale, t } from './i18n.js';
import { preference } from './preferences.js';

/** Stands where there is no value: never a zero that was not measured. */
export const NOTHING = '–';

/** @type {Map<string, Intl.NumberFormat>} */
const numberFormats = new Map();

/**
 * @param {Intl.NumberFormatOptions} options
 * @returns {Intl.NumberFormat} kept, because making one costs more than using it
 */
function numberFormat(options) {
  const key = JSON.stringify(options);
  let format = numberFormats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(languageTag, options);
    numberFormats.set(key, format);
  }
  return format;
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
export function isNumber(value) {
  return typeof value === 'number' && Number.isFinite(value);
}

/**
 * How many decimals a price of this size is shown with: five significant digits, at least two
 * decimals, at most eight unless fewer than three digits were left (67,123.45 · 143.27 · 0.00000712).
 *
 * @param {number} price
 */
export function priceDecimals(price) {
  const magnitude = price === 0 ? 0 : Math.floor(Math.log10(Math.abs(price)));
  return Math.min(Math.max(2, Math.min(4 - magnitude, Math.max(8, 2 - magnitude))), 20);
}

/** @param {number | null | undefined} price */
export function formatPrice(price) {
  if (!isNumber(price)) return NOTHING;
  const decimals = priceDecimals(price);
  return numberFormat({ minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(price);
}

/** @param {number | null | undefined} amount in US dollars */
export function formatMoney(amount) {
  return isNumber(amount) ? moneyFormat(amount, 'auto').format(amount) : NOTHING;
}

/** Money with its sign: gains with a plus. @param {number | null | undefined} amount */
export function formatProfit(amount) {
  return isNumber(amount) ? moneyFormat(amount, 'exceptZero').format(amount) : NOTHING;
}

/**
 * @param {number} amount
 * @param {'auto' | 'exceptZero'} signDisplay
 */
function moneyFormat(amount, signDisplay) {
  const currency = { style: 'currency', currency: 'USD', currencyDisplay: 'narrowSymbol', signDisplay };
  const tiny = amount !== 0 && Math.abs(amount) < 0.01;
  return numberFormat(
    /** @type {Intl.NumberFormatOptions} */ (tiny ? { ...currency, maximumSignificantDigits: 2 } : currency),
  );
}

/** Money on an axis: 10.5K. @param {number} amount @param {number} [digits] significant digits */
export function formatMoneyShort(amount, digits = 4) {
  return numberFormat({
    style: 'currency',
    currency: 'USD',
    currencyDisplay: 'narrowSymbol',
    notation: 'compact',
    maximumSignificantDigits: digits,
  }).format(amount);
}

/** @param {number | null | undefined} percent 12.5 is 12.5 % @param {boolean} [signed] */
export function formatPercent(percent, signed = true) {
  if (!isNumber(percent)) return NOTHING;
  return numberFormat({
    style: 'percent',
    minimumFractionDigits: 2,
    maximumFractionDigits: 2,
    signDisplay: signed ? 'exceptZero' : 'auto',
  }).format(percent / 100);
}

/** @param {number | null | undefined} quantity */
export function formatQuantity(quantity) {
  return isNumber(quantity) ? numberFormat({ maximumSignificantDigits: 6 }).format(quantity) : NOTHING;
}

/** @param {number | null | undefined} value @param {number} [decimals] exactly so many */
export function formatNumber(value, decimals = 0) {
  if (!isNumber(value)) return NOTHING;
  return numberFormat({ minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(value);
}

/** @param {number | null | undefined} volume */
export function formatVolume(volume) {
  return isNumber(volume) ? numberFormat({ notation: 'compact', maximumSignificantDigits: 4 }).format(volume) : NOTHING;
}

/** The class for the colour of a gain or a loss. @param {number | null | undefined} amount */
export function directionClass(amount) {
  if (!isNumber(amount) || amount === 0) return '';
  return amount > 0 ? 'up' : 'down';
}

/** @type {Record<string, Intl.DateTimeFormatOptions>} */
const TIME_STYLES = {
  full: { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' },
  minute: { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' },
  short: { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
  day: { year: 'numeric', month: 'short', day: 'numeric' },
  monthDay: { month: 'short', day: 'numeric' },
  month: { year: 'numeric', month: 'short' },
  year: { year: 'numeric' },
  date: { year: 'numeric', month: '2-digit', day: '2-digit' },
  clock: { hour: '2-digit', minute: '2-digit' },
  seconds: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
};

/** English dates as 2026-03-04: month or day first would be read both ways. */
const timeTag = locale === 'en' ? 'en-CA' : languageTag;

/** @type {Map<string, Intl.DateTimeFormat>} */
const timeFormats = new Map();

/** UTC or this computer's zone, as chosen. */
export const timeZone = () => (preference('zone') === 'utc' ? 'UTC' : undefined);

/**
 * @param {string | number | null | undefined} time ISO 8601 or milliseconds
 * @param {keyof typeof TIME_STYLES} [style]
 */
export function formatTime(time, style = 'minute') {
  const milliseconds = typeof time === 'string' ? Date.parse(time) : time;
  if (!isNumber(milliseconds)) return NOTHING;
  const zone = timeZone();
  const key = `${style} ${zone ?? ''}`;
  let format = timeFormats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(timeTag, { ...TIME_STYLES[style], hourCycle: 'h23', timeZone: zone });
    timeFormats.set(key, format);
  }
  return format.format(milliseconds);
}

/** Which zone the times on the page are in. */
export function zoneName() {
  return timeZone() ?? Intl.DateTimeFormat(languageTag).resolvedOptions().timeZone;
}

/** @param {number | null | undefined} seconds */
export function formatAge(seconds) {
  if (!isNumber(seconds)) return NOTHING;
  if (seconds < 60) return t('%(count)s s', { count: Math.max(0, Math.floor(seconds)) });
  if (seconds < 3600) return t('%(count)s min', { count: Math.floor(seconds / 60) });
  if (seconds < 86_400) return t('%(count)s h', { count: Math.floor(seconds / 3600) });
  return t('%(count)s d', { count: Math.floor(seconds / 86_400) });
}
