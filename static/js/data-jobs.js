/**
 * Syncs and imports: those under way with their progress, and how the last ones ended.
 *
 * @typedef {object} Job
 * @property {number} id
 * @property {'sync' | 'import'} kind
 * @property {'queued' | 'running' | 'done' | 'failed' | 'cancelled'} status
 * @property {number} progress 0 to 1
 * @property {string} detail
 * @property {string | null} error
 * @property {string | null} code
 * @property {string} created_at
 */

import { get, post } from './api.js';
import { element, setText } from './element.js';
import { errorText } from './error-words.js';
import { t } from './i18n.js';
import { progressLine } from './progress-line.js';
import { onStreamResumed, streamState, subscribe } from './stream.js';
import { toast, toastError } from './toast.js';
import { word } from './words.js';

const POLL_MS = 2_000;
const ENDED_SHOWN = 3;

/** @type {Record<string, string>} */
const KINDS = { sync: t('Sync'), import: t('Import') };
/** @type {Record<string, string>} */
const BADGES = { done: 'badge badge-ok', failed: 'badge badge-error', running: 'badge badge-accent' };

/** @param {Job} job */
const isUnfinished = ({ status }) => status === 'queued' || status === 'running';

/** Ids begin anew with the server. @param {Job} one @param {Job} other */
const isSame = (one, other) => one.id === other.id && one.created_at === other.created_at;

/** @param {Job} job */
const jobName = ({ kind, detail }) => [KINDS[kind] ?? word(kind), detail].filter(Boolean).join(' · ');

/**
 * @param {HTMLElement} card hidden while there are none
 * @param {HTMLElement} list
 * @param {() => void} onEnd told when one of them has ended
 */
export function jobList(card, list, onEnd) {
  /** Newest first. @type {Job[]} */
  let jobs = [];
  /** @type {Map<number, ReturnType<typeof jobRow>>} */
  const rows = new Map();

  /** Asked for on this page: their end is told, however soon it comes. @type {Set<number>} */
  const asked = new Set();

  /** @param {number} [askedFor] the id of a job that was just asked for */
  async function load(askedFor) {
    if (askedFor !== undefined) asked.add(askedFor);
    take(await get('/api/data/jobs'));
  }

  /** @param {Job[]} current newest first */
  function take(current) {
    const unfinished = new Set(jobs.filter(isUnfinished).map(({ id }) => id));
    const ended = jobs.filter((job) => !isUnfinished(job));
    // Answers and events overtake each other: what has ended stays so.
    jobs = current.map((job) => ended.find((known) => isSame(known, job)) ?? job);
    show();
    const justEnded = jobs.filter((job) => !isUnfinished(job) && (asked.delete(job.id) || unfinished.has(job.id)));
    for (const job of justEnded) tellEnd(job);
    if (justEnded.length) onEnd();
  }

  function show() {
    const shown = [...jobs.filter(isUnfinished), ...jobs.filter((job) => !isUnfinished(job)).slice(0, ENDED_SHOWN)];
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
  }

  const reload = () => load().catch(() => {}); // the next try follows; the status bar says that the server is away

  subscribe('data', (/** @type {Job} */ job) => {
    const others = jobs.filter(({ id }) => id !== job.id);
    take([...others, job].sort((one, other) => other.id - one.id));
  });
  onStreamResumed(reload);
  setInterval(() => {
    if (jobs.some(isUnfinished) && !document.hidden && streamState() !== 'live') reload();
  }, POLL_MS);
  return { load };
}

/** @param {Job} job */
function tellEnd(job) {
  const text = `${jobName(job)}: ${word(job.status)}`;
  if (job.status === 'failed') toast(job.error ? errorText(job.code, job.error) : text, 'error');
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
    setText(problem, errorText(job.code, job.error ?? ''));
    const isOver = !isUnfinished(job);
    cancel.hidden = isOver;
    cancel.setAttribute('aria-label', t('Cancel: %(job)s', { job: jobName(job) }));
    progress.node.hidden = isOver;
    if (!isOver) progress.show(job.progress, job.status === 'queued' ? t('waiting for its turn') : '');
  }

  return { node, show };
}
