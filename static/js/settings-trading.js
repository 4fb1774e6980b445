/** Whether trading goes on, which process does it, and on which market. */

import { get } from './api.js';
import { byId, element, replaceContent } from './element.js';
import { showFailure } from './failure.js';
import { formatAge, formatTime, isNumber, NOTHING } from './format.js';
import { t } from './i18n.js';
import { onStreamResumed, subscribe } from './stream.js';

const REFRESH_MS = 5_000;

/** Fills the section and keeps it up to date. */
export function startTradingState() {
  const place = byId('trading-state');

  async function refresh() {
    try {
      show(place, await get('/api/health'));
    } catch (error) {
      showFailure(place, error, refresh);
    }
  }

  // One switch: that of the header asks and tells; this button only stands where one looks for it.
  byId('halt').addEventListener('click', () => byId('kill-switch').click());
  subscribe('health', refresh);
  onStreamResumed(refresh);
  setInterval(() => {
    if (!document.hidden) refresh();
  }, REFRESH_MS);
  document.addEventListener('displaychange', refresh);
  refresh();
}

/** @param {HTMLElement} place @param {any} health */
function show(place, { market, trading, loop, scheduler }) {
  const button = byId('halt');
  button.hidden = false;
  button.textContent = trading.halted ? t('Resume all trading') : t('Stop all trading');
  /** @type {[string, import('./element.js').Child, string?][]} */
  const rows = [
    [t('Orders'), t('On paper: fills are booked here, and no order is sent to an exchange.')],
    [t('Market'), market === 'live' ? t('Live prices') : t('A simulated exchange')],
    [t('Kill switch'), haltText(trading), 'kill-switch-state'],
    [t('Trading loop'), loopText(loop), 'loop-owner'],
    [t('Next cycle'), scheduler.next_cycle ? formatTime(scheduler.next_cycle, 'full') : NOTHING],
  ];
  replaceContent(
    place,
    element(
      'dl',
      { class: 'details' },
      ...rows.flatMap(([name, value, testId]) => [
        element('dt', {}, name),
        element('dd', { 'data-testid': testId }, value),
      ]),
    ),
  );
}

/** @param {{ halted: boolean, since: string | null, by: string | null }} trading */
function haltText({ halted, since, by }) {
  if (!halted) return t('Off: models trade.');
  const told = [since ? formatTime(since, 'full') : '', by ?? ''].filter(Boolean).join(' · ');
  return element('span', {}, element('span', { class: 'badge badge-error' }, t('On: no model trades until you resume.')), told ? ` ${told}` : null);
}

/** @param {{ holder: string | null, mine: boolean, heartbeat_age_seconds: number | null }} loop */
function loopText({ holder, mine, heartbeat_age_seconds: age }) {
  if (holder === null) return t('It runs nowhere: no cycle is carried out.');
  const who = mine ? t('This process: %(holder)s', { holder }) : t('Another process: %(holder)s', { holder });
  const seen = isNumber(age) ? t('seen %(age)s ago', { age: formatAge(age) }) : '';
  return [who, seen].filter(Boolean).join(' · ');
}
