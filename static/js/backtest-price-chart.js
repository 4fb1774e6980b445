/** The candles of a backtest's range with its entries and exits, one coin at a time. */

import { tripMarkers, tripStory } from './backtest-trades.js';
import { candleView } from './candle-view.js';
import { byId, element, replaceContent } from './element.js';
import { t } from './i18n.js';
import { BarWindow, intervalLength } from './klines.js';

/** @typedef {import('./backtest-trades.js').NumberedTrip} NumberedTrip */

const DAY_MS = 86_400_000;

/**
 * @param {Record<string, any>} config of the run
 * @param {number} warmupBars shown before the start
 * @param {readonly NumberedTrip[]} trips
 * @param {number} knownUntil milliseconds up to which the candles are shaded
 */
export function backtestPriceChart(config, warmupBars, trips, knownUntil) {
  const interval = config['interval'];
  const start = Date.parse(`${config['start_date']}T00:00:00Z`);
  const end = Date.parse(`${config['end_date']}T00:00:00Z`) + DAY_MS;
  const first = start - warmupBars * intervalLength(interval);
  const view = candleView(byId('price-chart'), byId('price-message'), {
    emptyText: () => t('The candles of this run are no longer stored.'),
    onDraw: ({ coin }) => view.chart.setMarkers(tripMarkers(trips.filter((trip) => trip.coin === coin))),
    chart: { label: t('Candles with entries and exits'), lastPrice: false, story },
  });
  view.chart.setIndicators(averagesOf(config));
  view.chart.setShade(knownUntil);

  /**
   * Shows a coin, around a time if one is given, else the end of the run.
   *
   * @param {string} coin
   * @param {number} [time] milliseconds
   * @returns {Promise<boolean>} false where another coin was asked for meanwhile or it failed
   */
  function showCoin(coin, time) {
    const wanted = new BarWindow(coin, interval, { first, end });
    view.chart.setLabel(t('%(coin)s candles of %(interval)s with entries and exits', { coin, interval }));
    const load = () => (time === undefined ? wanted.loadLatest() : wanted.loadAround(time));
    return view.show(wanted, load, () => showCoin(coin, time));
  }

  /** @param {NumberedTrip} trip */
  async function showTrip(trip) {
    view.chart.hideStory();
    const bars = view.bars();
    const isHere = bars?.coin === trip.coin && bars.holds(trip.entryTime) && bars.holds(trip.exitTime);
    if (!isHere && !(await showCoin(trip.coin, trip.entryTime))) return;
    const { entryTime, entry_price: entryPrice, exitTime, exit_price: exitPrice, pnl } = trip;
    view.chart.setTrip({ entryTime, entryPrice, exitTime, exitPrice, color: pnl < 0 ? '--down-chart' : '--up-chart' });
    view.chart.showTimes(entryTime, exitTime);
  }

  /** @param {readonly string[]} ids of markers @returns {Node[]} */
  function story(ids) {
    const numbers = new Set(ids.map((id) => Number(id.split(' ')[1])));
    return trips.filter(({ number }) => numbers.has(number)).flatMap(tripStory);
  }

  return { showCoin, showTrip };
}

/**
 * The averages that a cross of averages goes by.
 *
 * @param {Record<string, any>} config
 * @returns {import('./candle-chart.js').Indicator[]}
 */
function averagesOf({ params }) {
  const { fast, slow, kind } = params ?? {};
  if (!Number.isInteger(fast) || !Number.isInteger(slow)) return [];
  return [
    { kind: kind === 'ema' ? 'ema' : 'sma', parameters: [fast], color: '--amber' },
    { kind: kind === 'ema' ? 'ema' : 'sma', parameters: [slow], color: '--series-7' },
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
