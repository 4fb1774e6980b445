/** A small box beside a marker of a chart. */

import { element, replaceContent } from './element.js';

const DISTANCE = 14;

/** @param {HTMLElement} container one that positions its children */
export function markerTooltip(container) {
  const node = element('div', { class: 'marker-tooltip', role: 'tooltip', 'data-testid': 'marker-tooltip', hidden: true });
  container.append(node);
  return {
    /**
     * @param {{ x: number, y: number }} point in the container
     * @param {Node[]} content
     */
    show(point, content) {
      replaceContent(node, ...content);
      node.hidden = false;
      const besides = point.x + DISTANCE + node.offsetWidth;
      const left = besides <= container.clientWidth ? point.x + DISTANCE : point.x - DISTANCE - node.offsetWidth;
      const top = Math.min(point.y + DISTANCE, container.clientHeight - node.offsetHeight - 4);
      node.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
    },
    hide() {
      node.hidden = true;
    },
  };
}
