/** The switches and lengths of the moving averages over the candles. */

import { element, replaceContent } from './element.js';
import { t } from './i18n.js';
import { fromUrl, toUrl } from './url-state.js';

/** @typedef {import('./candle-chart.js').Average} Average */
/** @typedef {Average & { shown: boolean }} Slot */

const LONGEST = 2000;
const DEFAULT = 'sma20,sma50';

/** Colours that the first models' markers do not have. @type {readonly Average[]} */
const SLOTS = [
  { kind: 'sma', length: 20, color: '--amber' },
  { kind: 'sma', length: 50, color: '--series-7' },
  { kind: 'ema', length: 200, color: '--series-4' },
];

/**
 * @param {HTMLElement} container
 * @param {(shown: Average[]) => void} onChange called at once and with each change
 */
export function averageControls(container, onChange) {
  const slots = slotsFrom(fromUrl('averages') ?? DEFAULT);
  replaceContent(container, ...slots.map((slot, index) => slotControl(slot, index + 1, changed)));
  changed();

  function changed() {
    const shown = slots.filter((slot) => slot.shown);
    const text = shown.map(({ kind, length }) => `${kind}${length}`).join(',');
    toUrl({ averages: text === DEFAULT ? null : text });
    onChange(shown);
  }
}

/** @param {string} text such as `sma20,ema200` @returns {Slot[]} */
function slotsFrom(text) {
  const slots = SLOTS.map((slot) => ({ ...slot, shown: false }));
  for (const [, kind, digits] of text.matchAll(/(sma|ema)(\d{1,4})/g)) {
    const slot = slots.find((candidate) => candidate.kind === kind && !candidate.shown);
    const length = Number(digits);
    if (slot && length >= 1 && length <= LONGEST) Object.assign(slot, { length, shown: true });
  }
  return slots;
}

/**
 * @param {Slot} slot
 * @param {number} number from 1, names the controls for tests
 * @param {() => void} changed
 */
function slotControl(slot, number, changed) {
  const name = slot.kind.toUpperCase();
  const swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' });
  swatch.style.setProperty('--series-color', `var(${slot.color})`);
  const toggle = element('input', { type: 'checkbox', checked: slot.shown, 'data-testid': `average-${number}` });
  toggle.addEventListener('change', () => {
    slot.shown = toggle.checked;
    changed();
  });
  const length = element('input', {
    class: 'input average-length',
    type: 'number',
    min: 1,
    max: LONGEST,
    step: 1,
    value: slot.length,
    'aria-label': t('Bars of the %(average)s', { average: name }),
    'data-testid': `average-length-${number}`,
  });
  length.addEventListener('change', () => {
    if (!length.checkValidity() || length.value === '') length.value = String(slot.length);
    slot.length = Number(length.value);
    if (slot.shown) changed();
  });
  return element('span', { class: 'average-control' }, element('label', { class: 'checkbox' }, toggle, swatch, name), length);
}
