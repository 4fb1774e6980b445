/** The page's language. English is written in the code; other languages are fetched once a page. */

/** `en` or `zh`, as the server chose it. */
export const locale = document.documentElement.dataset['locale'] ?? 'en';

/** The tag for Intl: which words, digits and separators to use. */
export const languageTag = document.documentElement.lang || 'en';

const messages = locale === 'en' ? {} : await fetchMessages();

/** @returns {Promise<Record<string, string>>} */
async function fetchMessages() {
  try {
    const response = await fetch(document.documentElement.dataset['messages'] ?? '');
    return response.ok ? await response.json() : {};
  } catch {
    return {}; // the page in English is better than no page
  }
}

/**
 * The text in the page's language, `%(name)s` replaced by the values named.
 *
 * @param {string} text in English; must be a literal, so that it is found for translation
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(text, values = {}) {
  const translated = messages[text] || text;
  return translated.replace(/%\((\w+)\)s/g, (whole, name) => String(values[name] ?? whole));
}
