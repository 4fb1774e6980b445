/** What the money is in: the positions in each coin, and cash, as a ring. */

import { ringChart } from './category-chart.js';
import { seriesToken } from './chart-theme.js';
import { t } from './i18n.js';

const COINS_SHOWN = 8;
const TOKENS = Array.from({ length: COINS_SHOWN }, (_, index) => seriesToken(index));

/** @param {HTMLElement} container */
export function distributionRing(container) {
  const ring = ringChart(container, { label: t('Distribution') });
  /** @type {Map<string, string>} a coin keeps its colour while it is shown */
  const colors = new Map();

  /** @param {string[]} coins */
  function assignColors(coins) {
    for (const coin of colors.keys()) if (!coins.includes(coin)) colors.delete(coin);
    for (const coin of coins) {
      if (colors.has(coin)) continue;
      const taken = new Set(colors.values());
      colors.set(coin, TOKENS.find((token) => !taken.has(token)) ?? seriesToken(0));
    }
  }

  /** The largest coins by name, then the others together, then cash. @param {import('./portfolio.js').Portfolio} portfolio */
  function update({ positions, cash }) {
    const bySize = [...valueByCoin(positions)].sort(([, one], [, other]) => other - one);
    const shown = bySize.slice(0, COINS_SHOWN).sort(([one], [other]) => one.localeCompare(other));
    const others = bySize.slice(COINS_SHOWN).reduce((sum, [, value]) => sum + value, 0);
    assignColors(shown.map(([coin]) => coin));
    ring.update([
      ...shown.map(([name, value]) => ({ name, value, color: colors.get(name) })),
      ...(others > 0 ? [{ name: t('Other coins'), value: others, color: '--border-strong' }] : []),
      { name: t('Cash'), value: Math.max(0, cash), color: '--series-cash' },
    ]);
  }

  return { update };
}

/**
 * A position that is worth less than nothing is about to be liquidated and has no share.
 *
 * @param {import('./positions.js').Position[]} positions
 * @returns {Map<string, number>}
 */
function valueByCoin(positions) {
  const values = new Map();
  for (const { coin, value } of positions) values.set(coin, (values.get(coin) ?? 0) + Math.max(0, value));
  return values;
}
