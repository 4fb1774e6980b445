/**
 * Keeps the newest candles of a view live: bars as the stream brings them, drawn once a frame. What
 * the stream missed, before it came back or where it brings none, is fetched.
 */

import { onPrices, isStale, priceOf } from './prices.js';
import { followSeries, onStreamResumed, streamState, subscribe } from './stream.js';
import { oncePerFrame, throttle } from './throttle.js';

/** @typedef {import('./klines.js').Bar} Bar */
/** @typedef {{ coin: string, interval: string, bar: Bar & { closed: boolean }, source: string }} KlineEvent */

const POLL_MS = 5_000;
/** Without a bar for so long, the stream brings none of this series for now. */
const SILENT_AFTER_MS = 10_000;

/**
 * @param {ReturnType<typeof import('./candle-view.js').candleView>} view
 * @param {() => void} onChange told when newer bars came, whoever brought them
 */
export function keepLive(view, onChange) {
  /** Bars that came since the last frame, by open time. @type {Map<number, Bar>} */
  const waiting = new Map();
  let heardAt = -Infinity;

  const isHeard = () => streamState() === 'live' && performance.now() - heardAt < SILENT_AFTER_MS;

  /** @param {string} coin @param {string} interval */
  function follow(coin, interval) {
    waiting.clear();
    heardAt = -Infinity;
    followSeries(coin, interval);
  }

  const drawWaiting = oncePerFrame(() => {
    const changed = [...waiting.values()].sort((one, other) => one.timestamp - other.timestamp);
    waiting.clear();
    if (changed.length) view.update(changed);
  });

  /** @param {Bar} bar */
  function place(bar) {
    const placed = view.bars()?.place(bar);
    if (placed === 'ahead') return fetchNewest();
    if (placed === 'shortened') {
      waiting.clear();
      view.draw('keep');
    }
    if (placed !== 'placed') return;
    waiting.set(bar.timestamp, bar);
    drawWaiting();
  }

  /** @param {KlineEvent} event */
  function receive({ coin, interval, bar, source }) {
    const bars = view.bars();
    if (!bars?.reachesLast || bars.coin !== coin || bars.interval !== interval) return;
    heardAt = performance.now();
    bars.origin = { source, stale: false, ageSeconds: 0, receivedAt: heardAt };
    place(bar);
    onChange();
  }

  /** The price is the close of a series that the stream does not bring. @param {string[]} coins */
  function followPrice(coins) {
    const bars = view.bars();
    const [price, last] = [bars && priceOf(bars.coin), bars?.bars.at(-1)];
    if (!price || !last || !bars?.reachesLast || !coins.includes(bars.coin) || isStale(price) || isHeard()) return;
    const time = typeof price.timestamp === 'string' ? Date.parse(price.timestamp) : Number(price.timestamp);
    if (!(time >= last.timestamp)) return;
    if (time >= last.timestamp + bars.length) return fetchNewest();
    place({ ...last, close: price.price, high: Math.max(last.high, price.price), low: Math.min(last.low, price.price) });
  }

  const fetchNewest = throttle(async () => {
    const bars = view.bars();
    if (!bars || document.hidden) return;
    const before = bars.bars.length;
    const changed = await bars.refreshLatest().catch(() => []); // its growing age tells that none came
    if (view.bars() !== bars || !changed.length) return;
    if (changed.length > 2 || bars.bars.length - before > 1) view.draw('keep');
    else view.update(changed);
    onChange();
  }, 1_000);

  subscribe('kline', receive);
  onPrices(followPrice);
  onStreamResumed(fetchNewest);
  document.addEventListener('visibilitychange', fetchNewest);
  setInterval(() => {
    if (!isHeard()) fetchNewest();
  }, POLL_MS);
  return { follow };
}
