/** The candles of a backtest's range with its entries and exits, one coin at a time. */

import { tripMarkers, tripStory } from './backtest-trades.js';
import { CandleChart } from './candle-chart.js';
import { byId, element, replaceContent } from './element.js';
import { emptyState, showFailure } from './failure.js';
import { t } from './i18n.js';
import { BarWindow, intervalLength } from './klines.js';
import { markerTooltip } from './marker-tooltip.js';
import { toastError } from './toast.js';

/** @typedef {import('./backtest-trades.js').NumberedTrip} NumberedTrip */

const DAY_MS = 86_400_000;
const RETRY_PAGE_MS = 10_000;

/**
 * @param {Record<string, any>} config of the run
 * @param {number} warmupBars shown before the start
 * @param {readonly NumberedTrip[]} trips
 */
export function backtestPriceChart(config, warmupBars, trips) {
  const interval = config['interval'];
  const start = Date.parse(`${config['start_date']}T00:00:00Z`);
  const end = Date.parse(`${config['end_date']}T00:00:00Z`) + DAY_MS;
  const first = start - warmupBars * intervalLength(interval);
  const message = byId('price-message');
  const frame = /** @type {HTMLElement} */ (byId('price-chart').parentElement);
  const tooltip = markerTooltip(frame);
  const chart = new CandleChart(byId('price-chart'), {
    label: t('Candles with entries and exits'),
    lastPrice: false,
    onNeed: loadMore,
    onMarker: showTooltip,
  });
  /** @type {BarWindow | null} */
  let bars = null;
  let nextPageAt = 0;
  chart.setAverages(averagesOf(config));

  /**
   * Shows a coin, around a time if one is given, else the end of the run.
   *
   * @param {string} coin
   * @param {number} [time] milliseconds
   * @returns {Promise<boolean>} false where another coin was asked for meanwhile or it failed
   */
  async function showCoin(coin, time) {
    const wanted = new BarWindow(coin, interval, { first, end });
    bars = wanted;
    chart.setLabel(t('%(coin)s candles of %(interval)s with entries and exits', { coin, interval }));
    try {
      await (time === undefined ? wanted.loadLatest() : wanted.loadAround(time));
    } catch (error) {
      if (bars !== wanted) return false;
      message.hidden = false;
      showFailure(message, error, () => showCoin(coin, time));
      return false;
    }
    if (bars !== wanted) return false;
    draw('latest');
    return wanted.bars.length > 0;
  }

  /** @param {'keep' | 'latest'} view */
  function draw(view) {
    if (!bars) return;
    const { coin } = bars;
    chart.setMarkers([]);
    chart.setBars(bars.bars, view);
    chart.setMarkers(tripMarkers(trips.filter((trip) => trip.coin === coin)));
    message.hidden = bars.bars.length > 0;
    if (!bars.bars.length) replaceContent(message, emptyState(t('The candles of this run are no longer stored.')));
  }

  /** @param {'older' | 'newer'} direction */
  async function loadMore(direction) {
    const wanted = bars;
    if (!wanted || wanted.loading || performance.now() < nextPageAt) return;
    try {
      const came = direction === 'older' ? await wanted.loadOlder() : await wanted.loadNewer();
      if (came && bars === wanted) draw('keep');
    } catch (error) {
      nextPageAt = performance.now() + RETRY_PAGE_MS;
      toastError(error);
    }
  }

  /** @param {NumberedTrip} trip */
  async function showTrip(trip) {
    tooltip.hide();
    const isHere = bars?.coin === trip.coin && bars.holds(trip.entryTime) && bars.holds(trip.exitTime);
    if (!isHere && !(await showCoin(trip.coin, trip.entryTime))) return;
    const { entryTime, entry_price: entryPrice, exitTime, exit_price: exitPrice, pnl } = trip;
    chart.setTrip({ entryTime, entryPrice, exitTime, exitPrice, color: pnl < 0 ? '--down-chart' : '--up-chart' });
    chart.showTimes(entryTime, exitTime);
  }

  /**
   * @param {string | null} id
   * @param {{ x: number, y: number } | null} point
   */
  function showTooltip(id, point) {
    const number = Number(id?.split(' ')[1]);
    const trip = trips.find((candidate) => candidate.number === number);
    if (trip && point) tooltip.show(point, tripStory(trip));
    else tooltip.hide();
  }

  return { showCoin, showTrip };
}

/**
 * The averages that a cross of averages goes by.
 *
 * @param {Record<string, any>} config
 * @returns {import('./candle-chart.js').Average[]}
 */
function averagesOf({ params }) {
  const { fast, slow, kind } = params ?? {};
  if (!Number.isInteger(fast) || !Number.isInteger(slow)) return [];
  return [
    { kind: kind === 'ema' ? 'ema' : 'sma', length: fast, color: '--amber' },
    { kind: kind === 'ema' ? 'ema' : 'sma', length: slow, color: '--series-7' },
  ];
}

/**
 * A button a coin.
 *
 * @param {HTMLElement} container
 * @param {readonly string[]} coins
 * @param {(coin: string) => void} onChoose
 * @returns {(coin: string) => void} marks the coin that is shown
 */
export function coinButtons(container, coins, onChoose) {
  const buttons = coins.map((coin) =>
    element('button', { type: 'button', value: coin, 'aria-pressed': 'false', 'data-testid': `price-coin-${coin}`, onclick: () => onChoose(coin) }, coin),
  );
  replaceContent(container, ...buttons);
  return (coin) => {
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.value === coin));
  };
}
