/**
 * A short tour of the dashboard: steps that point at parts of the page. Offered on the first visit of a browser, and
 * begun by `?tour=1`. Whoever drives the browser by a program is not offered one.
 */

import { element } from './element.js';
import { t } from './i18n.js';
import { keep, kept } from './preferences.js';
import { STEPS } from './tour-steps.js';
import { fromUrl, toUrl } from './url-state.js';

const KEPT = 'tour';
const GAP_PX = 12;

/** Begins the tour where the address asks for it, or offers it to who is here for the first time. */
export function offerTour() {
  if (fromUrl('tour')) {
    toUrl({ tour: null });
    startTour();
  } else if (kept(KEPT) === null && !navigator.webdriver) invite();
}

function invite() {
  const start = button(t('Show me around'), 'button-primary', 'tour-start');
  const later = button(t('No, thanks'), '', 'tour-dismiss');
  const card = element(
    'aside',
    { class: 'tour tour-corner', 'aria-label': t('Tour'), 'data-testid': 'tour-invitation' },
    element('h2', {}, t('New here?')),
    element('p', {}, t('A minute’s tour shows where things are.')),
    element('div', { class: 'tour-actions' }, later, start),
  );
  start.addEventListener('click', () => {
    card.remove();
    startTour();
  });
  later.addEventListener('click', () => {
    keep(KEPT, 'seen');
    card.remove();
  });
  // Near the beginning, so that the keyboard comes to it soon.
  document.querySelector('.skip-link')?.after(card);
}

function startTour() {
  const steps = STEPS.filter(({ place }) => document.querySelector(place)?.checkVisibility());
  const title = element('h2', { id: 'tour-title' });
  const text = element('p', { id: 'tour-text' });
  const count = element('span', { class: 'muted tabular', 'data-testid': 'tour-count' });
  const back = button(t('Back'), '', 'tour-back');
  const next = button('', 'button-primary', 'tour-next');
  const end = button(t('End the tour'), 'button-quiet', 'tour-end');
  const card = element(
    'div',
    {
      class: 'tour',
      role: 'dialog',
      'aria-labelledby': 'tour-title',
      'aria-describedby': 'tour-text',
      tabindex: '-1',
      'data-testid': 'tour',
    },
    title,
    text,
    element('div', { class: 'tour-actions' }, count, end, back, next),
  );
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  /** @type {Element | null} */
  let pointedAt = null;
  let at = 0;

  /** @param {number} index */
  function go(index) {
    const step = steps[index];
    if (!step) return leave();
    at = index;
    title.textContent = step.title;
    text.textContent = step.text;
    count.textContent = `${at + 1} / ${steps.length}`;
    back.disabled = at === 0;
    next.textContent = at === steps.length - 1 ? t('Done') : t('Next');
    point(document.querySelector(step.place));
    card.focus({ preventScroll: true });
  }

  /** @param {Element | null} place */
  function point(place) {
    pointedAt?.classList.remove('tour-place');
    pointedAt = place;
    place?.classList.add('tour-place');
    place?.scrollIntoView(place.closest('.top') ? { block: 'nearest', inline: 'center' } : { block: 'center' });
    placeCard();
  }

  const placeCard = () => putBeside(card, pointedAt);

  function leave() {
    keep(KEPT, 'seen');
    point(null);
    removeEventListener('scroll', placeCard);
    removeEventListener('resize', placeCard);
    card.remove();
    before?.focus();
  }

  back.addEventListener('click', () => go(at - 1));
  next.addEventListener('click', () => go(at + 1));
  end.addEventListener('click', leave);
  card.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') leave();
    else if (key === 'ArrowRight') go(at + 1);
    else if (key === 'ArrowLeft' && at > 0) go(at - 1);
  });
  addEventListener('scroll', placeCard, { passive: true });
  addEventListener('resize', placeCard);
  document.body.append(card);
  go(0);
}

/** Under the place, over it where there is more room, at the bottom of it where there is none. @param {HTMLElement} card @param {Element | null} place */
function putBeside(card, place) {
  if (!place) return;
  const { left, top, bottom } = place.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = card;
  const lowest = innerHeight - height - GAP_PX;
  const under = bottom + GAP_PX;
  const over = top - height - GAP_PX;
  const y = under <= lowest ? under : over >= GAP_PX ? over : lowest;
  const x = Math.max(GAP_PX, Math.min(left, document.documentElement.clientWidth - width - GAP_PX));
  card.style.setProperty('--tour-x', `${x}px`);
  card.style.setProperty('--tour-y', `${Math.max(GAP_PX, y)}px`);
}

/** @param {string} label @param {string} kind @param {string} testId */
const button = (label, kind, testId) =>
  element('button', { type: 'button', class: `button button-small ${kind}`, 'data-testid': testId }, label);
