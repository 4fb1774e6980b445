/** The kill switch in the header: stops all trading after a question, and lets it go on again. */

import { post } from './api.js';
import { confirmed } from './dialog.js';
import { byId, setText } from './element.js';
import { t } from './i18n.js';
import { toast, toastError } from './toast.js';

let halted = false;

/**
 * How the switch stands, as the status bar knows it from the server.
 *
 * @param {boolean} isHalted
 */
export function killSwitchStands(isHalted) {
  halted = isHalted;
  const button = byId('kill-switch');
  const label = halted ? t('Resume all trading') : t('Stop all trading');
  button.removeAttribute('disabled');
  button.classList.toggle('kill-switch-on', halted);
  button.setAttribute('aria-label', label);
  button.title = label;
  setText(/** @type {Element} */ (button.querySelector('.kill-switch-label')), halted ? t('Resume all') : t('Stop all'));
}

const STOP = {
  title: t('Stop all trading?'),
  message: t(
    'At once no model trades and no LLM is called, also after a restart, until you resume. Positions stay open; their stops, targets and liquidations go on working.',
  ),
  confirmLabel: t('Stop all trading'),
};
const RESUME = {
  title: t('Resume all trading?'),
  message: t('Every model that is not paused or stopped by itself trades again from its next cycle on.'),
  confirmLabel: t('Resume all trading'),
};

/** @param {() => void} refresh asks the server how it stands now */
export function startKillSwitch(refresh) {
  byId('kill-switch').addEventListener('click', async () => {
    const wasHalted = halted;
    if (!(await confirmed(wasHalted ? RESUME : STOP))) return;
    try {
      await post(wasHalted ? '/api/trading/resume' : '/api/trading/stop-all');
      toast(wasHalted ? t('Trading goes on.') : t('All trading is stopped.'));
      killSwitchStands(!wasHalted);
    } catch (error) {
      toastError(error);
    }
    refresh();
  });
}
