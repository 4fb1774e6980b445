/** The owner's password: set, or changed by who knows the one before. */

import { ApiError, get, put } from './api.js';
import { element, replaceContent } from './element.js';
import { clearFieldErrors, field, showFieldErrors } from './fields.js';
import { showProblem } from './form-dialog.js';
import { t } from './i18n.js';
import { toast } from './toast.js';

const SHORTEST = 12;

/** @param {HTMLElement} place */
export async function showPassword(place) {
  const { password_set: isSet } = await get('/api/session');
  replaceContent(place, passwordForm(place, isSet));
}

/** @param {HTMLElement} place @param {boolean} isSet */
function passwordForm(place, isSet) {
  const current = passwordInput('current-password');
  const wanted = passwordInput('new-password');
  const again = passwordInput('new-password');
  const problem = element('div', { class: 'notice notice-error', role: 'alert', hidden: true, 'data-testid': 'password-error' });
  const form = element(
    'form',
    { class: 'form', novalidate: true, 'data-testid': 'password-form' },
    element('p', { class: 'muted', 'data-testid': 'password-state' }, isSet ? IS_SET : IS_NOT_SET),
    // Password managers keep the password under this name, as they do on the page to sign in.
    element('input', { type: 'text', name: 'username', value: 'owner', autocomplete: 'username', hidden: true }),
    element(
      'div',
      { class: 'form-row' },
      isSet ? field({ name: 'current_password', label: t('Password now'), control: current }) : null,
      field({
        name: 'password',
        label: t('New password'),
        control: wanted,
        hint: t('At least %(count)s characters', { count: SHORTEST }),
      }),
      field({ name: 'again', label: t('New password again'), control: again }),
    ),
    problem,
    element(
      'div',
      { class: 'form-actions' },
      element(
        'button',
        { type: 'submit', class: 'button button-primary', 'data-testid': 'password-save' },
        isSet ? t('Change the password') : t('Set the password'),
      ),
    ),
  );
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    problem.hidden = true;
    clearFieldErrors(form);
    if (again.value !== wanted.value) {
      showFieldErrors(form, { again: t('This is not the same as above.') });
      return;
    }
    try {
      await put('/api/password', { password: wanted.value, ...(isSet ? { current_password: current.value } : {}) });
      toast(t('The password is set. Other browsers are signed out.'));
      await showPassword(place);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showProblem(form, problem, error, { wrong_password: 'current_password' });
    }
  });
  return form;
}

const IS_SET = t('A password is set: pages ask for it, and scripts need a token.');
const IS_NOT_SET = t(
  'No password is set: whoever sits at this computer is the owner. Other computers are not answered until one is set.',
);

/** @param {string} kind for password managers */
const passwordInput = (kind) => element('input', { class: 'input', type: 'password', autocomplete: kind });
