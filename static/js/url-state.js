/** What the page shows is in its address, so that it can be kept, sent and gone back to. */

/** @param {string} name */
export const fromUrl = (name) => new URLSearchParams(location.search).get(name);

/**
 * Writes the values into the address without a new page; null takes one out.
 *
 * @param {Record<string, string | number | null>} values
 */
export function toUrl(values) {
  history.replaceState(null, '', addressWith(values));
}

/**
 * The same as a step that the browser goes back from.
 *
 * @param {Record<string, string | number | null>} values
 */
export function stepTo(values) {
  history.pushState(null, '', addressWith(values));
}

/** @param {Record<string, string | number | null>} values */
function addressWith(values) {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === null) parameters.delete(name);
    else parameters.set(name, String(value));
  }
  const query = parameters.toString().replaceAll('%2C', ',');
  return query ? `?${query}` : location.pathname;
}
