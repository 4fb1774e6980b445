/** What one does with a chart as a whole: its scale, its first view again, full screen, a picture. */

import { chartPicture } from './candle-picture.js';
import { byId, element } from './element.js';
import { t } from './i18n.js';
import { fromUrl, toUrl } from './url-state.js';

/** @typedef {import('./candle-chart.js').CandleChart} CandleChart */
/** @typedef {import('./candle-chart.js').Scale} Scale */

/**
 * @param {CandleChart} chart
 * @param {object} options
 * @param {() => { fileName: string } & import('./candle-picture.js').Caption} options.caption of a picture
 * @param {() => void} options.onReset
 */
export function chartTools(chart, { caption, onReset }) {
  const scale = scaleSwitch(chart);
  const fullScreen = fullScreenSwitch();
  byId('reset-view').addEventListener('click', onReset);
  byId('save-picture').addEventListener('click', savePicture);

  async function savePicture() {
    const { fileName, ...words } = caption();
    const address = URL.createObjectURL(await chartPicture(chart, words));
    element('a', { href: address, download: fileName }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  return { scale, fullScreen, savePicture, reset: onReset };
}

/** @param {CandleChart} chart */
function scaleSwitch(chart) {
  const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (byId('scale').querySelectorAll('button'));
  const wanted = fromUrl('scale');
  let chosen = /** @type {Scale} */ ([...buttons].find(({ value }) => value === wanted)?.value ?? 'linear');
  let isComparing = false;
  byId('scale').addEventListener('click', (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest('button');
    if (button) choose(/** @type {Scale} */ (button.value));
  });

  /** @param {Scale} scale */
  function choose(scale) {
    chosen = scale;
    toUrl({ scale: scale === 'linear' ? null : scale });
    draw();
  }

  function draw() {
    const shown = isComparing ? 'percent' : chosen;
    chart.setScale(shown);
    for (const button of buttons) {
      button.setAttribute('aria-pressed', String(button.value === shown));
      button.disabled = isComparing && button.value !== 'percent';
      button.title = button.disabled ? t('Coins are compared in percent.') : (button.dataset['title'] ?? '');
    }
  }

  draw();
  return {
    /** Another scale, and the usual one again. @param {Scale} scale */
    toggle(scale) {
      if (!isComparing) choose(chosen === scale ? 'linear' : scale);
    },
    /** Prices of several coins have no scale in common but percent. @param {boolean} comparing */
    compare(comparing) {
      if (comparing === isComparing) return;
      isComparing = comparing;
      draw();
    },
  };
}

/** The chart fills the window, and the window the screen where the browser can. */
function fullScreenSwitch() {
  const button = byId('full-screen');
  const root = document.documentElement;
  const isFull = () => root.classList.contains('chart-full');

  /** @param {boolean} full */
  function show(full) {
    root.classList.toggle('chart-full', full);
    button.setAttribute('aria-pressed', String(full));
  }

  async function toggle() {
    const full = !isFull();
    show(full);
    if (full) await root.requestFullscreen?.().catch(() => {}); // then it fills the window alone
    else if (document.fullscreenElement) await document.exitFullscreen();
  }

  button.addEventListener('click', toggle);
  document.addEventListener('fullscreenchange', () => {
    if (!document.fullscreenElement) show(false);
  });
  return {
    toggle,
    leave() {
      if (isFull()) toggle();
    },
  };
}
