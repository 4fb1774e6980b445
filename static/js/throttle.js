/** Doing something often asked for, but not often done. */

/**
 * At most once in `milliseconds`: the first call at once, those that follow together at its end.
 *
 * @param {() => void} action
 * @param {number} milliseconds
 */
export function throttle(action, milliseconds) {
  let lastTime = -Infinity;
  let timer = 0;
  return () => {
    if (timer) return;
    const wait = Math.max(0, lastTime + milliseconds - performance.now());
    timer = setTimeout(() => {
      timer = 0;
      lastTime = performance.now();
      action();
    }, wait);
  };
}

/**
 * At most once a frame, and not at all while the page is hidden.
 *
 * @param {() => void} action
 */
export function oncePerFrame(action) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      action();
    });
  };
}
