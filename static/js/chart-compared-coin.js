/** The closes of a coin that another is compared with, for the bars that the other has. */

import { fetchKlines, intervalLength } from './klines.js';

/** @typedef {import('./klines.js').Bar} Bar */

const PAGE_BARS = 1000;

export class ComparedCoin {
  /** Closes by open time. @type {Map<number, number>} */
  #closes = new Map();
  /** What has been fetched: open times from the first to the last. */
  #first = Infinity;
  #last = -Infinity;

  /**
   * @param {string} coin
   * @param {string} interval
   * @param {string} color a design token
   */
  constructor(coin, interval, color) {
    this.coin = coin;
    this.interval = interval;
    this.color = color;
    this.closeAt = (/** @type {number} */ timestamp) => this.#closes.get(timestamp);
  }

  /**
   * Fetches what is missing for these bars.
   *
   * @param {readonly Bar[]} bars
   * @returns {Promise<boolean>} whether there was anything
   */
  async cover(bars) {
    const [first, last] = [bars[0]?.timestamp, bars.at(-1)?.timestamp];
    if (first === undefined || last === undefined) return false;
    const known = this.#closes.size;
    const [firstKnown, lastKnown] = [this.#first, this.#last];
    this.#first = Math.min(first, firstKnown);
    this.#last = Math.max(last, lastKnown);
    try {
      if (firstKnown === Infinity) await this.#fetch(first, last);
      else {
        if (first < firstKnown) await this.#fetch(first, firstKnown);
        if (last > lastKnown) await this.#fetch(lastKnown, last);
      }
    } catch (error) {
      [this.#first, this.#last] = [firstKnown, lastKnown];
      throw error;
    }
    return this.#closes.size !== known;
  }

  /** The bar that is still open has a newer price. @param {number} timestamp its open time @param {number} close */
  move(timestamp, close) {
    this.#closes.set(timestamp, close);
  }

  /** @param {number} from open time @param {number} to open time of the last that is wanted */
  async #fetch(from, to) {
    const length = intervalLength(this.interval);
    for (let start = from; start <= to; start += PAGE_BARS * length) {
      const query = { interval: this.interval, start, end: start + PAGE_BARS * length, limit: PAGE_BARS, include_open: 1 };
      const { bars } = await fetchKlines(this.coin, query);
      for (const { timestamp, close } of bars) this.#closes.set(timestamp, close);
    }
  }
}
