/**
 * TradingView's logo with its link, which the licence of Lightweight Charts asks for. The library can
 * draw it itself, but only with a style element, which the page's Content-Security-Policy forbids.
 */

import { element } from './element.js';
import { t } from './i18n.js';

const SVG = 'http://www.w3.org/2000/svg';
const OUTLINE =
  'M2 0H0v10h6v9h21.4l.5-1.3 6-15 1-2.7H23.7l-.5 1.3-.2.6a5 5 0 0 0-7-.9V0H2Zm20 17h4l5.2-13 .8-2h-7l-1 2.5-.2.5-1.5 3.8-.3.7V17Zm-.8-10a3 3 0 0 0 .7-2.7A3 3 0 1 0 16.8 7h4.4ZM14 7V2H2v6h6v9h4V7h2Z';
const LETTERS = 'M14 2H2v6h6v9h6V2Zm12 15h-7l6-15h7l-6 15Zm-7-9a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z';

export function attributionLogo() {
  const drawing = document.createElementNS(SVG, 'svg');
  drawing.setAttribute('viewBox', '0 0 35 19');
  drawing.setAttribute('aria-hidden', 'true');
  drawing.append(shape(OUTLINE, 'attribution-outline'), shape(LETTERS, 'attribution-letters'));
  const name = t('Charting by TradingView');
  return element(
    'a',
    {
      class: 'chart-attribution',
      href: 'https://www.tradingview.com/?utm_medium=lwc-link&utm_campaign=lwc-chart',
      target: '_blank',
      rel: 'noopener noreferrer',
      title: name,
      'aria-label': name,
      'data-testid': 'chart-attribution',
    },
    drawing,
  );
}

/**
 * The same on a picture, 35 by 19 units large.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {{ outline: string, letters: string }} colors
 */
export function drawLogo(context, { outline, letters }) {
  context.fillStyle = outline;
  context.fill(new Path2D(OUTLINE), 'evenodd');
  context.fillStyle = letters;
  context.fill(new Path2D(LETTERS), 'evenodd');
}

/**
 * @param {string} path
 * @param {string} name
 */
function shape(path, name) {
  const node = document.createElementNS(SVG, 'path');
  node.setAttribute('d', path);
  node.setAttribute('class', name);
  node.setAttribute('fill-rule', 'evenodd');
  return node;
}
