/**
 * Candles from the API, and a window of them that grows as one scrolls.
 *
 * @typedef {object} Bar
 * @property {number} timestamp open time, milliseconds UTC
 * @property {number} open
 * @property {number} high
 * @property {number} low
 * @property {number} close
 * @property {number} volume in coins
 *
 * @typedef {object} Origin where bars came from
 * @property {string} source
 * @property {boolean} stale
 * @property {number | null} ageSeconds
 * @property {number} receivedAt performance.now() of their receipt
 */

import { ApiError, failure } from './api.js';
import { t } from './i18n.js';

const MINUTE = 60_000;

/** Every interval's length in milliseconds, shortest first. */
export const INTERVALS = new Map([
  ['1m', MINUTE],
  ['3m', 3 * MINUTE],
  ['5m', 5 * MINUTE],
  ['15m', 15 * MINUTE],
  ['30m', 30 * MINUTE],
  ['1h', 60 * MINUTE],
  ['2h', 120 * MINUTE],
  ['4h', 240 * MINUTE],
  ['6h', 360 * MINUTE],
  ['12h', 720 * MINUTE],
  ['1d', 1440 * MINUTE],
  ['1w', 10_080 * MINUTE],
]);

/** @param {string} interval */
export function intervalLength(interval) {
  const length = INTERVALS.get(interval);
  if (length === undefined) throw new Error(`There is no interval ${interval}`);
  return length;
}

/**
 * @param {string} coin
 * @param {Record<string, string | number>} query of /api/klines: interval, limit, start, end, include_open
 * @returns {Promise<{ bars: Bar[], origin: Origin }>}
 */
export async function fetchKlines(coin, query) {
  const parameters = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
  const response = await fetch(`/api/klines/${encodeURIComponent(coin)}?${parameters}`).catch(() => {
    throw new ApiError(t('The server cannot be reached.'), 0, 'unreachable');
  });
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw failure(response, answer);
  return { bars: answer, origin: originOf(response.headers) };
}

/** @param {Headers} headers @returns {Origin} */
function originOf(headers) {
  const age = headers.get('X-Data-Age-Seconds');
  return {
    source: headers.get('X-Data-Source') ?? '',
    stale: headers.get('X-Data-Stale') === '1',
    ageSeconds: age === null || age === '' ? null : Number(age),
    receivedAt: performance.now(),
  };
}

const FIRST_BARS = 500;
const PAGE_BARS = 1000;
const MOST_BARS = 20_000;

/** The bars of one coin and interval that are loaded: one stretch without a hole of our making. */
export class BarWindow {
  /**
   * @param {string} coin
   * @param {string} interval
   * @param {{ first?: number, end?: number }} [bounds] no bars before `first`, none from `end` on (ms);
   *   without an end the newest bar is the one still open
   */
  constructor(coin, interval, { first = -Infinity, end = Infinity } = {}) {
    this.coin = coin;
    this.interval = interval;
    this.length = intervalLength(interval);
    this.first = first;
    this.end = end;
    /** @type {Bar[]} */
    this.bars = [];
    /** @type {Origin | null} */
    this.origin = null;
    this.reachesFirst = false;
    this.reachesLast = false;
    /** Whether a page is on its way. */
    this.loading = false;
  }

  async loadLatest() {
    const bars = await this.#fetchPage({ limit: FIRST_BARS, ...this.#until() });
    this.bars = bars;
    this.reachesFirst = bars.length < FIRST_BARS;
    this.reachesLast = true;
  }

  /** @param {number} time milliseconds */
  async loadAround(time) {
    const start = Math.max(this.first, time - (PAGE_BARS / 2) * this.length);
    const bars = await this.#fetchPage({ limit: PAGE_BARS, start, ...this.#until() });
    this.bars = bars;
    this.reachesFirst = start === this.first;
    this.reachesLast = bars.length < PAGE_BARS;
  }

  /** @returns {Promise<boolean>} whether there were any */
  async loadOlder() {
    const oldest = this.bars[0];
    if (this.reachesFirst || this.loading || !oldest) return false;
    const older = await this.#fetchPage({ limit: PAGE_BARS, end: oldest.timestamp });
    this.reachesFirst = older.length < PAGE_BARS;
    this.bars = [...older, ...this.bars];
    if (this.bars.length > MOST_BARS) {
      this.bars.length = MOST_BARS;
      this.reachesLast = false;
    }
    return older.length > 0;
  }

  /** @returns {Promise<boolean>} whether there were any */
  async loadNewer() {
    const newest = this.bars.at(-1);
    if (this.reachesLast || this.loading || !newest) return false;
    const newer = await this.#fetchPage({ limit: PAGE_BARS, start: newest.timestamp + this.length, ...this.#until() });
    this.reachesLast = newer.length < PAGE_BARS;
    this.bars = [...this.bars, ...newer];
    if (this.bars.length > MOST_BARS) {
      this.bars = this.bars.slice(-MOST_BARS);
      this.reachesFirst = false;
    }
    return newer.length > 0;
  }

  /**
   * The newest bars again, the open one among them.
   *
   * @returns {Promise<Bar[]>} those that changed or are new, ascending
   */
  async refreshLatest() {
    const newest = this.bars.at(-1);
    if (!this.reachesLast || this.loading || !newest) return [];
    const bars = await this.#fetch({ limit: 2, include_open: 1 });
    if (!this.reachesLast || this.bars.at(-1)?.timestamp !== newest.timestamp) return []; // paged meanwhile
    const changed = bars.filter(({ timestamp }) => timestamp >= newest.timestamp);
    if (changed[0] && changed[0].timestamp > newest.timestamp + this.length) {
      // Bars were made while nobody looked: they are loaded, and the one that was open then, again.
      this.reachesLast = false;
      this.bars = this.bars.slice(0, -1);
      await this.loadNewer();
      return this.bars.filter(({ timestamp }) => timestamp >= newest.timestamp);
    }
    for (const bar of changed) this.place(bar);
    return changed;
  }

  /**
   * Puts a bar near the end in its place: a live one, or one that was fetched again.
   *
   * @param {Bar} bar
   * @returns {'placed' | 'shortened' | 'ahead' | 'behind'} `shortened` when the oldest had to leave, so
   *   that all is to be drawn anew; `ahead` of bars that are missing, and `behind` what is loaded:
   *   both are not put anywhere
   */
  place(bar) {
    const newest = this.bars.at(-1);
    if (!newest || bar.timestamp > newest.timestamp + this.length) return 'ahead';
    if (bar.timestamp > newest.timestamp) {
      this.bars.push(bar);
      return this.#shorten();
    }
    const at = barIndexAt(this.bars, bar.timestamp);
    if (this.bars[at]?.timestamp !== bar.timestamp) return 'behind';
    this.bars[at] = bar;
    return 'placed';
  }

  /** @returns {'placed' | 'shortened'} */
  #shorten() {
    if (this.bars.length <= MOST_BARS + PAGE_BARS) return 'placed';
    this.bars = this.bars.slice(-MOST_BARS);
    this.reachesFirst = false;
    return 'shortened';
  }

  /** @param {number} time milliseconds @returns {boolean} */
  holds(time) {
    const [oldest, newest] = [this.bars[0], this.bars.at(-1)];
    return !!oldest && !!newest && oldest.timestamp <= time && time < newest.timestamp + this.length;
  }

  /** @returns {Record<string, number>} */
  #until() {
    return this.end === Infinity ? { include_open: 1 } : { end: this.end };
  }

  /** @param {Record<string, string | number>} query @returns {Promise<Bar[]>} */
  async #fetchPage(query) {
    this.loading = true;
    try {
      return await this.#fetch(query);
    } finally {
      this.loading = false;
    }
  }

  /** @param {Record<string, string | number>} query @returns {Promise<Bar[]>} */
  async #fetch(query) {
    const { bars, origin } = await fetchKlines(this.coin, { interval: this.interval, ...query });
    this.origin = origin;
    return bars.filter(({ timestamp }) => timestamp >= this.first);
  }
}

/**
 * The index of the bar that holds a time, -1 before the first.
 *
 * @param {readonly Bar[]} bars
 * @param {number} time milliseconds
 */
export function barIndexAt(bars, time) {
  let low = 0;
  let high = bars.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {Bar} */ (bars[middle]).timestamp <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
