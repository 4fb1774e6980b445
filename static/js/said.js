/** What was said between the app and an LLM: long untrusted text, folded, always as text. */

import { element } from './element.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';

/** A prompt's headings, by which it is folded: `# …`, `## …` or `=== … ===` at the beginning of a line. */
const HEADING = /^(?:#{1,3} |={3,} )/;

/**
 * A block that opens.
 *
 * @param {string} title
 * @param {import('./element.js').Child[]} content
 * @param {{ open?: boolean, notes?: import('./element.js').Child[], testId?: string }} [options]
 */
export function folded(title, content, { open = false, notes = [], testId } = {}) {
  return element(
    'details',
    { class: 'folded', open, 'data-testid': testId },
    element('summary', {}, element('strong', {}, title), ...notes),
    ...content,
  );
}

/** Text as it is, in a frame that scrolls. @param {string} text @param {string} [testId] */
export function said(text, testId) {
  return element('pre', { class: 'said', tabindex: '0', 'data-testid': testId }, text);
}

/** How long a text is. @param {string} text */
export const lengthNote = (text) =>
  element('span', { class: 'muted' }, t('%(count)s characters', { count: formatNumber(text.length) }));

/**
 * A prompt by its sections, each folded. Put together they are the prompt, letter by letter.
 *
 * @param {string} prompt
 * @param {boolean} [open]
 */
export function sections(prompt, open = false) {
  const parts = sectionsOf(prompt);
  if (parts.length < 2) return said(prompt);
  return element(
    'div',
    { class: 'form' },
    ...parts.map((text) => folded(titleOf(text), [said(text)], { open, notes: [lengthNote(text)], testId: 'prompt-section' })),
  );
}

/** @param {string} prompt */
function sectionsOf(prompt) {
  /** @type {string[]} */
  const parts = [];
  for (const line of prompt.split(/(?<=\n)/)) {
    if (parts.length === 0 || HEADING.test(line)) parts.push(line);
    else parts[parts.length - 1] += line;
  }
  return parts;
}

/** @param {string} text */
function titleOf(text) {
  const line = text.trimStart().split('\n', 1)[0] ?? '';
  return line.replace(/^[#=\s]+|[#=\s]+$/g, '') || t('Beginning');
}
