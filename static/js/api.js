/** The REST API: JSON in, JSON out, one kind of error. */

import { errorText, fieldTexts } from './error-words.js';
import { t } from './i18n.js';

/** What the server (or the way to it) said when a request failed. */
export class ApiError extends Error {
  /**
   * @param {string} message a sentence for a person
   * @param {number} status 0 when no answer came
   * @param {string} code a stable word for programs
   * @param {Record<string, string>} fields why each named field was refused
   * @param {any} answer what came instead of an error's words
   */
  constructor(message, status, code, fields = {}, answer = null) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.fields = fields;
    this.answer = answer;
  }
}

/**
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [query] empty values are left out
 * @returns {Promise<any>}
 */
export function get(path, query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return request('GET', text ? `${path}?${text}` : path);
}

/** @param {string} path @param {object} [body] @returns {Promise<any>} */
export const post = (path, body = {}) => request('POST', path, body);

/** @param {string} path @param {object} body @returns {Promise<any>} */
export const put = (path, body) => request('PUT', path, body);

/** @param {string} path @returns {Promise<any>} */
export const remove = (path) => request('DELETE', path);

/** What writes prove with that a page of ours asked for them. */
let proof = /** @type {HTMLMetaElement | null} */ (document.querySelector('meta[name="csrf-token"]'))?.content ?? '';

/** Asks for a new proof: the session is another one since the page was opened. */
async function renewProof() {
  const { answer } = await send('GET', '/api/session');
  proof = answer?.csrf_token ?? '';
}

/** Who is signed in no more signs in again, and comes back here. */
export function signInAgain() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
async function request(method, path, body) {
  let { response, answer } = await send(method, path, body);
  if (answer?.code === 'csrf_missing') {
    await renewProof();
    ({ response, answer } = await send(method, path, body));
  }
  if (!response.ok) throw failure(response, answer);
  return answer;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
async function send(method, path, body) {
  /** @type {Record<string, string>} */
  const headers = { Accept: 'application/json' };
  /** @type {RequestInit} */
  const options = { method, headers, credentials: 'same-origin' };
  if (method !== 'GET') headers['X-CSRF-Token'] = proof;
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options).catch(() => {
    throw new ApiError(t('The server cannot be reached.'), 0, 'unreachable');
  });
  return { response, answer: await response.json().catch(() => null) };
}

/**
 * Sends a form with its files, and tells how much of it has gone out.
 *
 * @param {string} path
 * @param {FormData} form
 * @param {(sent: number) => void} onProgress 0 to 1
 * @param {AbortSignal} signal gives up
 * @returns {Promise<any>}
 */
export async function upload(path, form, onProgress, signal) {
  await renewProof(); // what is large is sent once
  if (signal.aborted) throw nothingSent();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far it is
    request.open('POST', path);
    request.responseType = 'json';
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('X-CSRF-Token', proof);
    request.upload.addEventListener('progress', ({ loaded, total }) => onProgress(total ? loaded / total : 0));
    request.addEventListener('load', () => {
      if (request.status < 400) resolve(request.response);
      else reject(failure(request, request.response));
    });
    request.addEventListener('error', () => reject(new ApiError(t('The server cannot be reached.'), 0, 'unreachable')));
    request.addEventListener('abort', () => reject(nothingSent()));
    signal.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

const nothingSent = () => new ApiError(t('Nothing was sent.'), 0, 'aborted');

/**
 * What went wrong with a request. Who is not signed in is led to where that is done.
 *
 * @param {{ status: number }} response
 * @param {any} answer
 */
export function failure(response, answer) {
  if (answer?.code === 'not_signed_in') signInAgain();
  const { status } = response;
  if (!answer?.error) return new ApiError(t('The server answered with an error (%(status)s).', { status }), status, 'unknown', {}, answer);
  const { error, code, values, fields = {}, reasons = {} } = answer;
  return new ApiError(errorText(code, error, values), status, code, fieldTexts(fields, reasons));
}
