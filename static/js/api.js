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
   */
  constructor(message, status, code, fields = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.fields = fields;
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

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
async function request(method, path, body) {
  /** @type {RequestInit} */
  const options = { method, headers: { Accept: 'application/json' }, credentials: 'same-origin' };
  if (body !== undefined) {
    options.headers = { ...options.headers, 'Content-Type': 'application/json' };
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options).catch(() => {
    throw new ApiError(t('The server cannot be reached.'), 0, 'unreachable');
  });
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw failure(response, answer);
  return answer;
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
export function upload(path, form, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far it is
    request.open('POST', path);
    request.responseType = 'json';
    request.setRequestHeader('Accept', 'application/json');
    request.upload.addEventListener('progress', ({ loaded, total }) => onProgress(total ? loaded / total : 0));
    request.addEventListener('load', () => {
      if (request.status < 400) resolve(request.response);
      else reject(failure(request, request.response));
    });
    request.addEventListener('error', () => reject(new ApiError(t('The server cannot be reached.'), 0, 'unreachable')));
    request.addEventListener('abort', () => reject(new ApiError(t('Nothing was sent.'), 0, 'aborted')));
    signal.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

/**
 * @param {{ status: number }} response
 * @param {any} answer
 */
function failure(response, answer) {
  const { status } = response;
  if (!answer?.error) return new ApiError(t('The server answered with an error (%(status)s).', { status }), status, 'unknown');
  const { error, code, values, fields = {}, reasons = {} } = answer;
  return new ApiError(errorText(code, error, values), status, code, fieldTexts(fields, reasons));
}
