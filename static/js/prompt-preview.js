/** What would be sent to the LLM now, made anew a moment after each change of the form, section by section. */

import { ApiError, post } from './api.js';
import { element, replaceContent, setText } from './element.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';
import { folded, lengthNote, sections } from './said.js';

const PAUSE_MS = 600;

/**
 * @param {() => object} terms of the model as they are filled in
 * @returns {{ node: HTMLDetailsElement, changed: () => void }} `changed` is called when they may be others
 */
export function promptPreview(terms) {
  const status = element('p', { class: 'field-hint', role: 'status', 'data-testid': 'preview-status' });
  const shown = element('div', { class: 'preview', 'data-testid': 'preview' });
  const node = folded(t('Preview: exactly what would be sent now'), [element('div', { class: 'preview' }, status, shown)], {
    testId: 'preview-panel',
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  let asked = 0;

  function changed() {
    if (!node.open) return;
    clearTimeout(waiting);
    waiting = setTimeout(load, PAUSE_MS);
  }

  async function load() {
    const mine = ++asked;
    setText(status, t('Making the preview…'));
    try {
      const answer = await post('/api/models/preview', terms());
      if (mine === asked) show(answer);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine === asked) fail(error);
    }
  }

  /** @param {{ messages: { role: string, content: string }[], estimated_tokens: number, template_version: string }} answer */
  function show({ messages, estimated_tokens, template_version }) {
    const open = openTitles();
    status.className = 'field-hint';
    setText(
      status,
      t('About %(count)s tokens, template %(version)s. Prices and the account are those of this moment.', {
        count: formatNumber(estimated_tokens),
        version: template_version,
      }),
    );
    const names = { system: t('System message'), user: t('User message') };
    replaceContent(
      shown,
      ...messages.map(({ role, content }) =>
        folded(names[/** @type {'system' | 'user'} */ (role)] ?? role, [sections(content)], {
          notes: [lengthNote(content)],
          open: true,
          testId: `preview-${role}`,
        }),
      ),
    );
    for (const block of /** @type {NodeListOf<HTMLDetailsElement>} */ (shown.querySelectorAll(':scope > details details'))) {
      block.open = open.has(titleOf(block));
    }
  }

  /** @param {ApiError} error */
  function fail(error) {
    status.className = 'field-error';
    setText(status, [error.message, ...Object.values(error.fields)].join(' '));
    replaceContent(shown);
  }

  /** What is open stays open. */
  function openTitles() {
    return new Set([.../** @type {NodeListOf<HTMLDetailsElement>} */ (shown.querySelectorAll(':scope > details details[open]'))].map(titleOf));
  }

  node.addEventListener('toggle', () => {
    if (node.open) load();
  });
  return { node, changed };
}

/** @param {HTMLDetailsElement} block */
const titleOf = (block) => block.querySelector('strong')?.textContent ?? '';
