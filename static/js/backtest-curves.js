/** Equity beside buy and hold, and the drawdown under it; the pointer is at one time in both. */

import { formatPercent } from './format.js';
import { byId } from './element.js';
import { t } from './i18n.js';
import { lineChart } from './line-chart.js';

/** @typedef {{ timestamp: string, total_value: number, drawdown: number, benchmark: number | null }} AccountValue */

export function backtestCurves() {
  const equity = lineChart(byId('equity-chart'), {
    label: t('Account value and buy and hold'),
    timeAxis: false,
    onHover: (time) => drawdown.showAt(time),
  });
  const drawdown = lineChart(byId('drawdown-chart'), {
    label: t('Drawdown'),
    formatValue: (percent) => formatPercent(percent),
    formatAxis: (percent) => `${Math.round(percent * 10) / 10}%`,
    highest: 0,
    onHover: (time) => equity.showAt(time),
  });
  return {
    /** @param {number} time milliseconds up to which the model may remember the prices */
    shadeUntil(time) {
      equity.shadeUntil(time);
      drawdown.shadeUntil(time);
    },
    /** @param {readonly AccountValue[]} values */
    show(values) {
      const points = (/** @type {(value: AccountValue) => number | null} */ pick) =>
        values.map((value) => ({ timestamp: value.timestamp, value: pick(value) }));
      equity.update([
        { name: t('Account'), points: points(({ total_value: value }) => value), area: 'bottom' },
        { name: t('Buy and hold'), points: points(({ benchmark }) => benchmark), dashed: true, color: '--series-2' },
      ]);
      drawdown.update([{ name: t('Drawdown'), points: points((value) => -value.drawdown), area: 'zero', color: '--down-chart' }]);
    },
  };
}
