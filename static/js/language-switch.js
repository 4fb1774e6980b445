/** The button that shows every page in the other language from then on. */

import { byId } from './element.js';

const A_YEAR_SECONDS = 31_536_000;

/** @param {() => void} showAgain loads the page anew */
export function listenForLanguage(showAgain) {
  const button = byId('language-switch');
  button.addEventListener('click', () => {
    document.cookie = `locale=${button.dataset['to']}; path=/; max-age=${A_YEAR_SECONDS}; samesite=lax`;
    showAgain();
  });
}
