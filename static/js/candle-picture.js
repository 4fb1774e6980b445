/**
 * A chart as a picture to keep: under its title, over the attribution that the licence of Lightweight
 * Charts asks for.
 *
 * @typedef {object} Caption
 * @property {string} title
 * @property {string[]} values beside the title: what the legend says
 * @property {string[]} notes under the chart: when, whose candles
 */

import { drawLogo } from './chart-attribution.js';
import { tokenColor } from './chart-theme.js';
import { t } from './i18n.js';

const HEADER = 44;
const FOOTER = 34;
const MARGIN = 14;
const LOGO_WIDTH = 35;
const LOGO_SCALE = 0.8;

/**
 * @param {import('./candle-chart.js').CandleChart} chart
 * @param {Caption} caption
 * @returns {Promise<Blob>} PNG
 */
export async function chartPicture(chart, caption) {
  const shot = chart.chart.takeScreenshot(true, false);
  const ratio = shot.width / chart.plot.clientWidth;
  const [width, height] = [shot.width / ratio, shot.height / ratio + HEADER + FOOTER];
  const canvas = Object.assign(document.createElement('canvas'), {
    width: shot.width,
    height: Math.round(height * ratio),
  });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.scale(ratio, ratio);
  context.textBaseline = 'middle';
  context.fillStyle = tokenColor('--surface');
  context.fillRect(0, 0, width, height);
  context.drawImage(shot, 0, HEADER, width, height - HEADER - FOOTER);
  drawHeader(context, caption, width);
  drawFooter(context, caption, width, height - FOOTER / 2);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('The browser made no picture'))), 'image/png');
  });
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Caption} caption
 * @param {number} width
 */
function drawHeader(context, { title, values }, width) {
  const family = tokenColor('--font');
  context.fillStyle = tokenColor('--text');
  context.font = `600 16px ${family}`;
  context.fillText(title, MARGIN, HEADER / 2);
  const left = 2 * MARGIN + context.measureText(title).width;
  context.fillStyle = tokenColor('--text-muted');
  context.font = `12px ${family}`;
  context.fillText(values.join('   '), left, HEADER / 2, Math.max(1, width - left - MARGIN));
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Caption} caption
 * @param {number} width
 * @param {number} middle
 */
function drawFooter(context, { notes }, width, middle) {
  context.save();
  context.translate(MARGIN, middle - (19 * LOGO_SCALE) / 2);
  context.scale(LOGO_SCALE, LOGO_SCALE);
  drawLogo(context, { outline: tokenColor('--surface'), letters: tokenColor('--text') });
  context.restore();
  context.fillStyle = tokenColor('--text-muted');
  context.font = `11px ${tokenColor('--font')}`;
  const attribution = t('Charting by TradingView');
  const left = MARGIN + LOGO_WIDTH * LOGO_SCALE + 8;
  context.fillText(attribution, left, middle);
  const room = width - left - context.measureText(attribution).width - 3 * MARGIN;
  context.textAlign = 'right';
  context.fillText(notes.join(' · '), width - MARGIN, middle, Math.max(1, room));
}
