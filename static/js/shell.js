/** What every page has around it: the language switch, the display settings, the status bar. */

import { listenForLanguage } from './language-switch.js';
import { PREFERENCES, preference, setPreference } from './preferences.js';
import { startStatusBar } from './status-bar.js';

function listenForDisplay() {
  document.addEventListener('click', (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest('button');
    const name = /** @type {HTMLElement | null} */ (button?.parentElement)?.dataset['preference'];
    if (button && name && name in PREFERENCES) setPreference(name, button.value);
  });
  document.addEventListener('displaychange', showDisplay);
  showDisplay();
}

function showDisplay() {
  for (const name of Object.keys(PREFERENCES)) {
    const buttons = document.querySelectorAll(`[data-preference="${name}"] button`);
    for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (buttons)) {
      button.setAttribute('aria-pressed', String(button.value === preference(name)));
    }
  }
}

// On a narrow screen not all pages' names fit.
document.querySelector('.nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
listenForLanguage(() => location.reload());
listenForDisplay();
startStatusBar();
