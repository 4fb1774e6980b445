/** A progress bar with its percentage, and words on what is known of the rest. */

import { element, setText } from './element.js';
import { formatNumber } from './format.js';

/**
 * @param {string} label what goes on, for screen readers
 * @param {string} name of the test ids: `‹name›-progress`, `‹name›-percent`
 */
export function progressLine(label, name) {
  const bar = element('progress', { class: 'progress', max: 1, value: 0, 'aria-label': label, 'data-testid': `${name}-progress` });
  const percent = element('span', { class: 'number', 'data-testid': `${name}-percent` });
  const rest = element('span', { class: 'muted' });
  return {
    node: element('div', { class: 'progress-line' }, bar, percent, rest),
    /**
     * @param {number} progress 0 to 1
     * @param {string} words
     */
    show(progress, words) {
      bar.value = progress;
      setText(percent, `${formatNumber(100 * progress)} %`);
      setText(rest, words);
    },
  };
}
