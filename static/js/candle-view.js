/** One coin's candles on a chart: loaded as a window that grows as one scrolls to its ends. */

import { CandleChart } from './candle-chart.js';
import { replaceContent } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { toastError } from './toast.js';

/** @typedef {import('./klines.js').Bar} Bar */
/** @typedef {import('./klines.js').BarWindow} BarWindow */

/** After a page of history could not be had, none is asked for so long. */
const RETRY_PAGE_MS = 10_000;
/** Drawing a page of history takes longer than a frame: it waits until nothing has moved for so long. */
const REST_MS = 120;
const LOOK_AGAIN_MS = 40;

/**
 * @param {HTMLElement} container the chart's
 * @param {HTMLElement} message lies over the chart where there are no candles to see
 * @param {object} options
 * @param {(bars: BarWindow) => string} options.emptyText what is said where there are none
 * @param {(bars: BarWindow) => void} options.onDraw after each drawing of all bars: markers and the like
 * @param {(changed: readonly Bar[]) => void} [options.onUpdate] after bars at the end were drawn
 * @param {Omit<ConstructorParameters<typeof CandleChart>[1], 'onNeed'>} options.chart
 */
export function candleView(container, message, { emptyText, onDraw, onUpdate, chart: chartOptions }) {
  const chart = new CandleChart(container, { ...chartOptions, onNeed: loadMore });
  /** @type {BarWindow | null} */
  let bars = null;
  let nextPageAt = 0;
  /** Whether bars have come that are to be drawn as soon as the view rests. */
  let waits = false;

  /**
   * Shows a window instead of the one before.
   *
   * @param {BarWindow} wanted
   * @param {() => Promise<void>} load fills it
   * @param {() => void} retry offered where that fails
   * @returns {Promise<boolean>} false where another was asked for meanwhile, it failed or is empty
   */
  async function show(wanted, load, retry) {
    bars = wanted;
    nextPageAt = 0;
    waits = false;
    try {
      await load();
    } catch (error) {
      if (bars !== wanted) return false;
      chart.setBars([], 'latest');
      message.hidden = false;
      showFailure(message, error, retry);
      return false;
    }
    if (bars !== wanted) return false;
    draw('latest');
    return wanted.bars.length > 0;
  }

  /** @param {'keep' | 'latest'} view */
  function draw(view) {
    waits = false;
    if (!bars) return;
    chart.setBars(bars.bars, view);
    if (bars.bars.length) message.hidden = true;
    else showMessage(emptyState(emptyText(bars)));
    onDraw(bars);
  }

  /** @param {'older' | 'newer'} direction from where bars have come */
  function drawAtRest(direction) {
    if (!waits) return;
    if (chart.isAtEdge(direction) || chart.viewport.restedFor() >= REST_MS) draw('keep');
    else setTimeout(drawAtRest, LOOK_AGAIN_MS, direction);
  }

  /** Bars at the end changed or came; they are already in the window. @param {readonly Bar[]} changed ascending */
  function update(changed) {
    if (waits) return; // they will be drawn with the others
    chart.updateBars(changed);
    onUpdate?.(changed);
  }

  /** @param {Node} content */
  function showMessage(content) {
    replaceContent(message, content);
    message.hidden = false;
  }

  /** @param {'older' | 'newer'} direction */
  async function loadMore(direction) {
    const wanted = bars;
    if (!wanted || wanted.loading || waits || performance.now() < nextPageAt) return;
    try {
      const came = direction === 'older' ? await wanted.loadOlder() : await wanted.loadNewer();
      if (!came || bars !== wanted) return;
      waits = true;
      drawAtRest(direction);
    } catch (error) {
      nextPageAt = performance.now() + RETRY_PAGE_MS;
      toastError(error);
    }
  }

  return { chart, bars: () => bars, show, draw, update, showMessage };
}
