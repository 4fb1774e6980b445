/** Colours and type of charts, read from the page's styles so that canvases follow theme and size. */

/**
 * @param {string} token such as `--series-1`
 * @returns {string}
 */
export function tokenColor(token) {
  return getComputedStyle(document.documentElement).getPropertyValue(token).trim();
}

/**
 * @param {string} token one that holds a hexadecimal colour
 * @param {number} opacity 0 to 1
 */
export function tokenColorFaded(token, opacity) {
  const value = Number.parseInt(tokenColor(token).slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${opacity})`;
}

/** Behind what is shown of a stretch of time that is no evidence. */
export const shadeColor = () => tokenColorFaded('--amber', 0.1);

/** The token of the n-th series, from 0; they repeat after eight. @param {number} index */
export const seriesToken = (index) => `--series-${(index % 8) + 1}`;

/** Pixels of so many times the page's type size, which grows on large screens. @param {number} rem */
export const remPixels = (rem) => rem * Number.parseFloat(getComputedStyle(document.documentElement).fontSize);

/** The font of axes and tooltips. */
export const chartFont = () => ({ size: Math.round(remPixels(0.6875)), family: tokenColor('--font') });

/**
 * Draws again when theme, zone or the colours of up and down change.
 *
 * @param {() => void} draw
 * @returns {() => void} ends that
 */
export function onDisplayChange(draw) {
  document.addEventListener('displaychange', draw);
  return () => document.removeEventListener('displaychange', draw);
}
