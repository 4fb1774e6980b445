import type { Chart as ChartClass } from 'chart.js';

declare global {
  /** Chart.js, loaded by its classic script before the page's modules. */
  const Chart: typeof ChartClass;
}
