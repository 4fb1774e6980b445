/** Where the focus is stays where it was, when what holds it is drawn again. */

/**
 * @param {HTMLElement} container takes the focus itself where what had it is gone
 * @param {() => void} draw
 */
export function keepingFocus(container, draw) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const inside = focused !== null && focused !== container && container.contains(focused);
  const key = inside ? /** @type {HTMLElement | null} */ (focused.closest('[data-key]'))?.dataset['key'] : undefined;
  const action = inside ? focused.dataset['action'] : undefined;
  draw();
  if (!inside || container.contains(document.activeElement)) return;
  if (focused.isConnected) return focused.focus();
  const place = key && container.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!place) return container.focus();
  const same = action && place.querySelector(`[data-action="${CSS.escape(action)}"]`);
  const next = same || place.querySelector('button, a, input');
  /** @type {HTMLElement | null} */ (next)?.focus();
}
