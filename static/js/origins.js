/**
 * Opens where a number comes from over the page. The address says what is open, so that it can be kept, sent and gone
 * back from: `?trade=12`, `?decision=5`.
 */

import { openDecision } from './decision-dialog.js';
import { openTrade } from './trade-dialog.js';
import { fromUrl, stepTo, toUrl } from './url-state.js';

/** @typedef {(id: number) => HTMLDialogElement} Opener */

/** @type {Record<string, Opener>} */
const EVERYWHERE = { trade: openTrade, decision: openDecision };

/**
 * Opens what the address names, now and whenever a link of origin-links.js is followed.
 *
 * @param {Record<string, Opener>} [more] what only this page can open, by the name in the address
 * @param {(kind: string, id: number) => void} [onOpen]
 */
export function listenForOrigins(more = {}, onOpen = () => {}) {
  const openers = { ...EVERYWHERE, ...more };
  const noneOpen = Object.fromEntries(Object.keys(openers).map((kind) => [kind, null]));
  /** @type {HTMLDialogElement | null} */
  let current = null;

  function showAddressed() {
    const before = current;
    current = null;
    before?.close();
    before?.remove();
    const found = Object.entries(openers).find(([kind]) => Number(fromUrl(kind)) > 0);
    if (!found) return;
    const [kind, open] = found;
    const id = Number(fromUrl(kind));
    const dialog = open(id);
    current = dialog;
    dialog.addEventListener('close', () => {
      if (current !== dialog) return; // another one has taken its place, and the address
      current = null;
      toUrl(noneOpen);
    });
    onOpen(kind, id);
  }

  document.addEventListener('click', (event) => {
    const link = /** @type {HTMLElement} */ (event.target).closest('a[data-origin]');
    const { origin = '', originId = '' } = link instanceof HTMLElement ? link.dataset : {};
    if (!(origin in openers) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    stepTo({ ...noneOpen, [origin]: originId });
    showAddressed();
  });
  addEventListener('popstate', showAddressed);
  showAddressed();
}
