/** The coins that a chart's own coin is compared with: chosen, fetched, drawn and kept live. */

import { ComparedCoin } from './chart-compared-coin.js';
import { element, replaceContent } from './element.js';
import { t } from './i18n.js';
import { fetchPrices, isStale, onPrices, priceOf } from './prices.js';
import { oncePerFrame } from './throttle.js';
import { toastError } from './toast.js';
import { fromUrl, toUrl } from './url-state.js';

/** @typedef {{ symbol: string, name: string }} Coin */

const MOST_COMPARED = 4;
/** Colours that the usual averages and gains and losses do not have. */
const COLORS = ['--series-1', '--series-2', '--series-5', '--series-3'];

/**
 * @param {HTMLElement} container
 * @param {readonly Coin[]} coins
 * @param {ReturnType<typeof import('./candle-view.js').candleView>} view
 * @param {(isComparing: boolean) => void} onChange
 */
export function compareCoins(container, coins, view, onChange) {
  /** @type {ComparedCoin[]} */
  let compared = [];
  let own = '';
  const known = new Set(coins.map(({ symbol }) => symbol));
  let symbols = [...new Set((fromUrl('compare') ?? '').split(','))].filter((symbol) => known.has(symbol)).slice(0, MOST_COMPARED);
  const chips = element('div', { class: 'chips' });
  const add = element('select', { class: 'select chart-add', 'aria-label': t('Compare with'), 'data-testid': 'compare-add' });
  add.addEventListener('change', () => set([...symbols, add.value]));
  replaceContent(container, chips, add);

  /** Other candles are shown. @param {string} coin @param {string} interval */
  function show(coin, interval) {
    own = coin;
    const shown = symbols.filter((symbol) => symbol !== coin).slice(0, MOST_COMPARED);
    compared = shown.map((symbol) => {
      const before = compared.find((each) => each.coin === symbol && each.interval === interval);
      return before ?? new ComparedCoin(symbol, interval, freeColor(shown, symbol));
    });
    drawChips();
    view.chart.setCompared(compared);
    onChange(compared.length > 0);
    fetchPrices(shown).catch(() => {}); // the candles do without; the status bar says so
  }

  /** A colour stays with its coin while others come and go. @param {string[]} shown @param {string} symbol */
  function freeColor(shown, symbol) {
    const kept = compared.filter(({ coin }) => shown.includes(coin)).map(({ color }) => color);
    const fresh = shown.filter((each) => !compared.some(({ coin }) => coin === each));
    return COLORS.filter((color) => !kept.includes(color))[fresh.indexOf(symbol)] ?? '--text-muted';
  }

  /** @param {string[]} wanted */
  function set(wanted) {
    symbols = wanted;
    toUrl({ compare: symbols.join(',') || null });
    const interval = view.bars()?.interval;
    if (interval) show(own, interval);
    cover();
  }

  /** Fetches what the bars on the chart need. */
  async function cover() {
    const bars = view.bars();
    if (!bars || bars.coin !== own) return;
    const wanted = compared;
    const fetched = await Promise.allSettled(wanted.map((each) => each.cover(bars.bars)));
    for (const one of fetched) if (one.status === 'rejected') toastError(one.reason);
    if (wanted === compared && fetched.some((one) => one.status === 'fulfilled' && one.value)) view.chart.drawCompared();
  }

  function drawChips() {
    replaceContent(chips, ...compared.map(({ coin, color }) => chip(coin, color, () => set(symbols.filter((each) => each !== coin)))));
    const free = coins.filter(({ symbol }) => symbol !== own && !symbols.includes(symbol));
    const options = free.map(({ symbol, name }) => element('option', { value: symbol }, `${symbol} · ${name}`));
    replaceContent(add, element('option', { value: '', disabled: true, selected: true, hidden: true }, '+ ', t('Compare')), ...options);
    add.disabled = compared.length >= MOST_COMPARED;
  }

  const drawLast = oncePerFrame(() => {
    const last = view.chart.bars.at(-1);
    if (last && view.bars()?.reachesLast) view.chart.compare.update([last], last.timestamp);
  });

  onPrices((changed) => {
    const last = view.bars()?.reachesLast ? view.chart.bars.at(-1) : undefined;
    for (const each of compared) {
      const price = priceOf(each.coin);
      if (!last || !price || !changed.includes(each.coin) || isStale(price)) continue;
      each.move(last.timestamp, price.price);
      drawLast();
    }
  });

  return { show, cover };
}

/** @param {string} coin @param {string} color @param {() => void} remove */
function chip(coin, color, remove) {
  const swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' });
  swatch.style.setProperty('--series-color', `var(${color})`);
  const name = t('Compare no longer with %(coin)s', { coin });
  return element(
    'button',
    { type: 'button', class: 'chip', 'aria-label': name, title: name, 'data-testid': `compared-${coin}`, onclick: remove },
    swatch, coin, element('span', { class: 'muted', 'aria-hidden': 'true' }, '×'),
  );
}
