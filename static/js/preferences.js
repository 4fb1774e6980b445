/**
 * How this browser shows things: theme, time zone, the colours of up and down. Kept in localStorage;
 * whoever draws listens for `displaychange` on the document and draws again.
 */

/** @type {Record<string, { choices: string[], fallback: string }>} */
export const PREFERENCES = {
  theme: { choices: ['light', 'dark', 'system'], fallback: 'system' },
  zone: { choices: ['local', 'utc'], fallback: 'local' },
  updown: { choices: ['green-up', 'red-up'], fallback: 'green-up' },
};

/** @type {Map<string, string>} */
const chosen = new Map();

/**
 * @param {string} name a key of PREFERENCES
 * @returns {string}
 */
export function preference(name) {
  const { choices = [], fallback = '' } = PREFERENCES[name] ?? {};
  const value = chosen.get(name) ?? kept(name);
  return value !== null && choices.includes(value) ? value : fallback;
}

/** What this browser keeps under a name, if anything. @param {string} name */
export function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // storage may be forbidden; the page works without it
  }
}

/**
 * @param {string} name
 * @param {string} value
 */
export function setPreference(name, value) {
  chosen.set(name, value);
  keep(name, value);
  if (name === 'theme') applyTheme(value);
  if (name === 'updown') document.documentElement.dataset['updown'] = value;
  document.dispatchEvent(new CustomEvent('displaychange', { detail: name }));
}

/** @param {string} name @param {string} value */
export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // storage may be forbidden or full; the choice then lasts as long as the page
  }
}

/** @param {string} theme */
function applyTheme(theme) {
  const dark = theme === 'dark' || (theme === 'system' && systemIsDark.matches);
  document.documentElement.dataset['theme'] = dark ? 'dark' : 'light';
}

const systemIsDark = matchMedia('(prefers-color-scheme: dark)');
systemIsDark.addEventListener('change', () => {
  if (preference('theme') === 'system') setPreference('theme', 'system');
});
