/**
 * Builds DOM without markup: text given by users or by the API is always text.
 *
 * @typedef {Node | string | number | null | undefined | false} Child
 */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [attributes] `class`, `data-…`, `aria-…` and so on; a function is
 *   a listener for the event that its key names after `on` (`onclick`); null and false are left out
 * @param {...Child} children strings become text nodes
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') {
      node.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else {
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  node.append(...shown(children));
  return node;
}

/**
 * @param {Element} parent
 * @param {...Child} children
 */
export function replaceContent(parent, ...children) {
  parent.replaceChildren(...shown(children));
}

/**
 * The element with this id; a missing one is a mistake in the page's template.
 *
 * @template {HTMLElement} [Type=HTMLElement]
 * @param {string} id
 * @returns {Type}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no element #${id}`);
  return /** @type {Type} */ (found);
}

/** Lets the page be clicked: its template keeps it inert until its module listens, so that no click is lost. */
export function acceptInput() {
  byId('content').inert = false;
}

/**
 * Sets the text only where it differs, so that live values cause no needless layout.
 *
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @param {Child[]} children
 * @returns {(Node | string)[]}
 */
function shown(children) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    nodes.push(child instanceof Node ? child : String(child));
  }
  return nodes;
}
