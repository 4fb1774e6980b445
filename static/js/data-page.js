/** The Data page: how the sources do, which candles are stored, how to get more, what was wrong. */

import { alertTable } from './data-alerts.js';
import { coverageTable } from './data-coverage.js';
import { askForImport, askForSync } from './data-forms.js';
import { showGaps } from './data-gaps.js';
import { jobList } from './data-jobs.js';
import { sourceCards } from './data-sources.js';
import { acceptInput, byId } from './element.js';
import { showFailure } from './failure.js';
import { knownSources, onSources, refreshSources } from './sources.js';
import { onStreamResumed, subscribe } from './stream.js';
import { throttle } from './throttle.js';
import { toastError } from './toast.js';

/** @typedef {import('./data-coverage.js').Coverage} Coverage */

const AGES_MS = 1_000;
/** Here budgets and latencies are looked at: more often than the status bar asks. */
const SOURCES_MS = 3_000;
const COVERAGE_MS = 60_000;
const SOONEST_MS = 2_000;

const sources = sourceCards(byId('sources'));
const alerts = alertTable(byId('alerts'), { filter: byId('filter-alerts'), exportButton: byId('export-alerts') });
const coverage = coverageTable(byId('coverage'), {
  filter: byId('filter-coverage'),
  onlyGaps: byId('only-gaps'),
  exportButton: byId('export-coverage'),
  onGaps: lookAtGaps,
  onSync: (row) => ask(() => askForSync({ coins: [row.coin], interval: row.interval, start: Date.parse(row.from) })),
  onFirst: () => ask(askForSync),
});
const jobs = jobList(byId('jobs-card'), byId('jobs'), () => loadCoverage());

/**
 * Shows what a part of the page is loaded from, or why that failed and a way to try again.
 *
 * @param {HTMLElement} container
 * @param {() => Promise<void>} load
 */
function loader(container, load) {
  return async function attempt() {
    await load().catch((error) => showFailure(container, error, attempt));
  };
}

const loadCoverage = loader(byId('coverage'), coverage.load);
const loadAlerts = loader(byId('alerts'), alerts.load);

function showSources() {
  const known = knownSources();
  if (known) sources.update(known);
}

/** @param {() => Promise<any>} form asks for a job; null for none */
async function ask(form) {
  try {
    const job = await form();
    if (job) await jobs.load(job.id);
  } catch (error) {
    toastError(error);
  }
}

/** @param {Coverage} row */
async function lookAtGaps(row) {
  const [first, last] = [row.gaps[0], row.gaps.at(-1)];
  if (!(await showGaps(row)) || !first || !last) return;
  const range = { start: Date.parse(first.start), end: Date.parse(last.end) };
  ask(() => askForSync({ coins: [row.coin], interval: row.interval, ...range }));
}

byId('sync').addEventListener('click', () => ask(askForSync));
byId('import').addEventListener('click', () => ask(askForImport));

const refreshAlerts = throttle(() => {
  if (!document.hidden) loadAlerts();
}, SOONEST_MS);

subscribe('health', refreshAlerts);
onSources(showSources);
onStreamResumed(refreshAlerts);
setInterval(showSources, AGES_MS);
setInterval(refreshSources, SOURCES_MS);
setInterval(() => {
  if (!document.hidden) loadCoverage();
}, COVERAGE_MS);
document.addEventListener('displaychange', () => {
  loadCoverage();
  loadAlerts();
});
acceptInput();
refreshSources();
await Promise.all([loadCoverage(), loadAlerts(), jobs.load().catch(toastError)]);
