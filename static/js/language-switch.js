/** In which language every page is shown from then on. */

import { byId } from './element.js';

const A_YEAR_SECONDS = 31_536_000;

/** @param {() => void} showAgain loads the page anew */
export function listenForLanguage(showAgain) {
  const button = byId('language-switch');
  button.addEventListener('click', () => {
    rememberLanguage(button.dataset['to'] ?? '');
    showAgain();
  });
}

/** @param {string} language `en` or `zh` */
export function rememberLanguage(language) {
  document.cookie = `locale=${language}; path=/; max-age=${A_YEAR_SECONDS}; samesite=lax`;
}
