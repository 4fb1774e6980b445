/**
 * Syncs and imports: those under way with their progress, and how the last ones ended.
 *
 * @typedef {object} Job
 * @property {number | string} id
 * @property {string} kind sync, import or archive
 * @property {'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'interrupted'} status
 * @property {number} progress 0 to 1
 * @property {string | null} detail
 * @property {string | null} error
 */

import { get, post } from './api.js';
import { element, setText } from './element.js';
import { t } from './i18n.js';
import { progressLine } from './progress-line.js';
import { toast, toastError } from './toast.js';
import { word } from './words.js';

const POLL_MS = 1_000;
const IDLE_POLL_MS = 15_000;
const ENDED_SHOWN = 3;

/** @type {Record<string, string>} */
const KINDS = { sync: t('Sync'), import: t('Import'), archive: t('Archive') };
/** @type {Record<string, string>} */
const BADGES = { done: 'badge badge-ok', failed: 'badge badge-error', running: 'badge badge-accent' };

/** @param {Job} job */
const isUnfinished = ({ status }) => status === 'queued' || status === 'running';

/** @param {Job} job */
const jobName = ({ kind, detail }) => [KINDS[kind] ?? word(kind), detail].filter(Boolean).join(' · ');

/**
 * @param {HTMLElement} card hidden while there are none
 * @param {HTMLElement} list
 * @param {() => void} onEnd told when one of them has ended
 */
export function jobList(card, list, onEnd) {
  /** @type {Map<Job['id'], ReturnType<typeof jobRow>>} */
  const rows = new Map();
  /** @type {Set<Job['id']>} */
  let unfinished = new Set();
  let timer = 0;

  async function load() {
    clearTimeout(timer);
    try {
      if (!document.hidden) show(await get('/api/data/jobs'));
    } finally {
      timer = setTimeout(() => load().catch(() => {}), unfinished.size ? POLL_MS : IDLE_POLL_MS); // the status bar says that the server is away
    }
  }

  /** @param {Job[]} jobs newest first */
  function show(jobs) {
    const ended = jobs.filter((job) => !isUnfinished(job));
    const shown = [...jobs.filter(isUnfinished), ...ended.slice(0, ENDED_SHOWN)];
    const wanted = new Set(shown.map(({ id }) => id));
    for (const [id, { node }] of rows) {
      if (wanted.has(id)) continue;
      node.remove();
      rows.delete(id);
    }
    for (const [index, job] of shown.entries()) {
      const row = rows.get(job.id) ?? jobRow(job, load);
      rows.set(job.id, row);
      row.show(job);
      if (list.children[index] !== row.node) list.insertBefore(row.node, list.children[index] ?? null);
    }
    card.hidden = shown.length === 0;
    const justEnded = ended.filter(({ id }) => unfinished.has(id));
    unfinished = new Set(jobs.filter(isUnfinished).map(({ id }) => id));
    for (const job of justEnded) tellEnd(job);
    if (justEnded.length) onEnd();
  }

  return { load };
}

/** @param {Job} job */
function tellEnd(job) {
  const text = `${jobName(job)}: ${word(job.status)}`;
  if (job.status === 'failed') toast(job.error ?? text, 'error');
  else toast(text);
}

/**
 * @param {Job} first
 * @param {() => Promise<void>} reload
 */
function jobRow(first, reload) {
  const name = element('span', { 'data-testid': 'job-name' });
  const status = element('span', { 'data-testid': 'job-status' });
  const problem = element('span', { class: 'field-error', 'data-testid': 'job-error' });
  const progress = progressLine(jobName(first), 'job');
  const cancel = element('button', { type: 'button', class: 'button button-small', 'data-testid': 'cancel-job' }, t('Cancel'));
  cancel.addEventListener('click', async () => {
    cancel.disabled = true;
    try {
      await post(`/api/data/jobs/${first.id}/cancel`);
    } catch (error) {
      toastError(error);
    }
    await reload().catch(toastError);
  });
  const node = element(
    'li',
    { class: 'queue-row', 'data-testid': 'job-row' },
    element('div', { class: 'queue-name' }, status, name, problem),
    progress.node,
    cancel,
  );

  /** @param {Job} job */
  function show(job) {
    setText(name, jobName(job));
    setText(status, word(job.status));
    status.className = BADGES[job.status] ?? 'badge badge-muted';
    setText(problem, job.error ?? '');
    const isOver = !isUnfinished(job);
    cancel.hidden = isOver;
    cancel.setAttribute('aria-label', t('Cancel: %(job)s', { job: jobName(job) }));
    progress.node.hidden = isOver;
    if (!isOver) progress.show(job.progress, job.status === 'queued' ? t('waiting for its turn') : '');
  }

  return { node, show };
}
