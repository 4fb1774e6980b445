/** The settings page: every section by itself, so that one that fails leaves the others. */

import { get } from './api.js';
import { acceptInput, byId } from './element.js';
import { showFailure } from './failure.js';
import { formatMoney, formatPercent } from './format.js';
import { t } from './i18n.js';
import { rememberLanguage } from './language-switch.js';
import { showArchive } from './settings-archive.js';
import { startBackups } from './settings-backups.js';
import { settingsForm } from './settings-form.js';
import { showNotifications } from './settings-notifications.js';
import { showPassword } from './settings-password.js';
import { startTokens } from './settings-tokens.js';
import { startTradingState } from './settings-trading.js';

const EXAMPLE_NOTIONAL = 1_000;

/** @param {string} id of the place @param {(place: HTMLElement) => Promise<void>} show */
async function shown(id, show) {
  const place = byId(id);
  try {
    await show(place);
  } catch (error) {
    showFailure(place, error, () => shown(id, show));
  }
}

/** The schema and what is stored, asked once for all forms. */
const known = () => Promise.all([get('/api/settings/schema'), get('/api/settings')]);
/** @type {ReturnType<typeof known> | null} */
let asked = null;

/** @param {string} name @param {string[]} settings @param {Record<string, (value: number) => string>} [meanings] */
function form(name, settings, meanings) {
  return shown(`${name}-form`, async (place) => {
    asked ??= known();
    try {
      const [schema, stored] = await asked;
      settingsForm(place, { name, settings, schema, stored, meanings });
    } catch (error) {
      asked = null;
      throw error;
    }
  });
}

/** @param {number} share of the notional */
const costText = (share) =>
  t('%(percent)s: %(cost)s of every %(notional)s', {
    percent: formatPercent(100 * share, false),
    cost: formatMoney(EXAMPLE_NOTIONAL * share),
    notional: formatMoney(EXAMPLE_NOTIONAL),
  });

byId('language-choice').addEventListener('click', (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest('button');
  if (!button || button.getAttribute('aria-pressed') === 'true') return;
  rememberLanguage(button.value);
  location.reload();
});

form('general', ['trading_fee_rate', 'slippage_bps', 'trading_frequency_minutes'], {
  trading_fee_rate: costText,
  slippage_bps: (points) => costText(points / 10_000),
});
form('kept', ['llm_text_days']);
form('backups', ['backup_hours', 'backups_kept']);
startTradingState();
shown('password-form', showPassword);
startTokens();
shown('notifications-form', showNotifications);
shown('archive', showArchive);
startBackups();
acceptInput();
