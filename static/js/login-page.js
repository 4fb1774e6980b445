/** The page to sign in: the form needs no script; this has its language, and who need not sign in. */

import { byId } from './element.js';
import { listenForLanguage } from './language-switch.js';

/**
 * Browsers send no session along with a link from another site. Asked from here, the server knows
 * who has signed in, and leads on.
 */
async function goOnIfSignedIn() {
  const answer = await fetch(location.href, { redirect: 'manual', credentials: 'same-origin' }).catch(() => null);
  if (answer?.type === 'opaqueredirect') location.replace(byId('login').dataset['page'] ?? '/');
}

listenForLanguage(() => location.replace(location.href)); // a form that was sent is not sent again
goOnIfSignedIn();
