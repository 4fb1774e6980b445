/**
 * The bar that is looked at: the one under the pointer, or gone to by the keyboard, else the newest.
 * Arrow keys go from bar to bar and say it; with Shift they move the view; plus and minus zoom.
 */

/** @typedef {ReturnType<typeof import('./candle-viewport.js').candleViewport>} Viewport */

/**
 * @param {HTMLElement} plot takes the keys while it has the focus
 * @param {Viewport} viewport
 * @param {object} options
 * @param {() => number} options.count how many bars there are
 * @param {(at: number) => void} options.onGo the keyboard went to a bar; -1 where it left
 */
export function candleCursor(plot, viewport, { count, onGo }) {
  /** The place of a bar, -1 for none. */
  let place = -1;
  let isKeyed = false;

  /** @param {number} wanted -1 takes the crosshair away */
  function go(wanted) {
    place = Math.min(wanted, count() - 1);
    const view = viewport.view();
    if (view && place >= 0 && place < view.from) viewport.pan(place - view.from);
    if (view && place > view.to) viewport.pan(place - view.to);
    isKeyed = place >= 0;
    onGo(place);
  }

  /** @param {number} bars to the right of where it is, or of the view's end */
  function step(bars) {
    const start = place >= 0 ? place : Math.min(count(), Math.floor(viewport.view()?.to ?? 0));
    go(Math.max(0, start + bars));
  }

  /** @param {number} views to the right */
  function turn(views) {
    const view = viewport.view();
    if (view) viewport.pan(views * (view.to - view.from));
  }

  /** @param {KeyboardEvent} event @returns {(() => void) | undefined} */
  function actionOf({ key, shiftKey }) {
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowLeft: () => (shiftKey ? turn(-0.25) : step(-1)),
      ArrowRight: () => (shiftKey ? turn(0.25) : step(1)),
      PageUp: () => turn(-1),
      PageDown: () => turn(1),
      End: () => go(count() - 1),
      '+': () => viewport.zoom('in'),
      '=': () => viewport.zoom('in'),
      '-': () => viewport.zoom('out'),
    };
    return key === 'Escape' && place >= 0 ? () => go(-1) : actions[key];
  }

  plot.addEventListener('keydown', (event) => {
    if (!count() || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
  plot.addEventListener('blur', () => go(-1));

  return {
    /** The bar that is looked at. */
    place: () => (place >= 0 ? place : count() - 1),
    /** Whether the keyboard went there. */
    isKeyed: () => isKeyed,
    /** The pointer stands on a bar; -1 where it left. @param {number} at */
    point(at) {
      place = at;
      isKeyed = false;
    },
    /** So many bars have come before the first. @param {number} bars */
    shift(bars) {
      if (place >= 0) place = Math.max(0, place + bars);
    },
  };
}
