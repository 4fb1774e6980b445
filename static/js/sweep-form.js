/** What a search over parameters asks for besides the run: which values each may take, and how to search. */

import { element, replaceContent, setText } from './element.js';
import { field, select } from './fields.js';
import { t } from './i18n.js';
import { axesOf, axisValue } from './sweep-axes.js';

/** @typedef {import('./sweep-axes.js').Axis} Axis */

/**
 * @returns {{ node: HTMLDetailsElement, show: (trader: any, recorded?: number | null) => void, request: () => Record<string, unknown>, start: HTMLButtonElement }}
 *   `request` gives everything of POST /api/backtests/sweep but the run
 */
export function sweepForm() {
  const rows = element('div', { class: 'sweep-axes' });
  const about = element('p', { class: 'field-hint', 'data-testid': 'sweep-about' });
  const terms = searchControls();
  const start = element('button', { type: 'button', class: 'button', 'data-testid': 'start-sweep' }, t('Start the search'));
  const samples = field({ name: 'samples', label: t('Random combinations'), control: terms.samples });
  samples.hidden = true;
  terms.search.addEventListener('change', () => {
    samples.hidden = terms.search.value !== 'random';
  });
  /** @type {(() => [string, unknown] | null)[]} */
  let readers = [];

  /**
   * @param {any} trader
   * @param {number | null} recorded the backtest whose decisions are searched, instead of a run's terms
   */
  function show(trader, recorded = null) {
    node.open ||= recorded !== null;
    setText(about, recorded === null ? t('Parameters with a range vary; the others stay as above. Every combination is a backtest.') : t('The decisions of backtest %(id)s under other fees and stops; nobody is asked again.', { id: recorded }));
    const axes = trader ? axesOf(trader) : [];
    const made = axes.map(axisRow);
    readers = made.map(({ read }) => read);
    replaceContent(rows, ...(axes.length ? [axesHead(), ...made.map(({ node }) => node)] : [element('p', { class: 'muted' }, t('This trader has nothing to search over.'))]));
    start.disabled = axes.length === 0;
  }

  const node = element(
    'details',
    { class: 'backtest-advanced', 'data-testid': 'sweep-form' },
    element('summary', { 'data-testid': 'open-sweep-form' }, t('Search over parameters')),
    element(
      'div',
      { class: 'form' },
      about,
      element('div', { 'data-field': 'ranges' }, rows, element('p', { class: 'field-error', role: 'alert', 'data-testid': 'error-ranges' })),
      element(
        'div',
        { class: 'form-row' },
        field({ name: 'search', label: t('How to search'), control: terms.search }),
        samples,
        field({ name: 'objective', label: t('The best has the highest'), control: terms.objective }),
        field({ name: 'fit_days', label: t('Walk-forward: fit on days'), control: terms.fit_days }),
        field({ name: 'score_days', label: t('then judge on days'), control: terms.score_days }),
      ),
      start,
    ),
  );
  return { node, show, start, request: () => ({ ranges: Object.fromEntries(readers.flatMap((read) => [read() ?? []]).filter((pair) => pair.length)), ...searchTerms(terms) }) };
}

function searchControls() {
  const days = () => element('input', { class: 'input', type: 'number', inputmode: 'numeric', min: 1, max: 20_000, step: 1, placeholder: t('none') });
  return {
    search: select({ grid: t('Every combination'), random: t('Random combinations') }, 'grid'),
    samples: element('input', { class: 'input', type: 'number', inputmode: 'numeric', min: 1, max: 20_000, step: 1, value: 100 }),
    objective: select({ sharpe: t('Sharpe ratio'), return_percentage: t('Return'), calmar: t('Calmar ratio') }, 'sharpe'),
    fit_days: days(),
    score_days: days(),
  };
}

/** @param {ReturnType<typeof searchControls>} terms */
function searchTerms({ search, samples, objective, fit_days: fitDays, score_days: scoreDays }) {
  const whole = (/** @type {HTMLInputElement} */ control) => (control.value === '' ? null : Number(control.value));
  return {
    search: search.value,
    ...(search.value === 'random' ? { samples: whole(samples) } : {}),
    objective: objective.value,
    fit_days: whole(fitDays),
    score_days: whole(scoreDays),
  };
}

function axesHead() {
  const names = [t('Parameter'), t('Lowest'), t('Highest'), t('Step')];
  return element('div', { class: 'sweep-axis sweep-axis-head', 'aria-hidden': 'true' }, ...names.map((name) => element('span', {}, name)));
}

/**
 * @param {Axis} axis
 * @returns {{ node: HTMLElement, read: () => [string, unknown] | null }}
 */
function axisRow({ name, label, kind, choices }) {
  const error = element('p', { class: 'field-error', 'data-testid': `error-ranges.${name}` });
  const row = (/** @type {Node[]} */ ...controls) => element('div', { class: 'sweep-axis', 'data-field': `ranges.${name}` }, element('span', {}, label), ...controls, error);
  if (kind === 'choice') {
    const all = element('input', { type: 'checkbox', 'data-testid': `range-${name}` });
    const words = t('try all: %(values)s', { values: choices.map(axisValue).join(', ') });
    return { node: row(element('label', { class: 'checkbox sweep-axis-choice' }, all, words)), read: () => (all.checked ? [name, {}] : null) };
  }
  const inputs = ['low', 'high', 'step'].map((part) => rangeInput(name, label, part, kind === 'integer'));
  return {
    node: row(...inputs),
    read() {
      const [low, high, step] = inputs.map(({ value }) => (value === '' ? null : Number(value)));
      return low === null && high === null ? null : [name, { low, high, step }];
    },
  };
}

/** @type {Record<string, (parameter: string) => string>} */
const RANGE_LABELS = {
  low: (parameter) => t('%(parameter)s, lowest', { parameter }),
  high: (parameter) => t('%(parameter)s, highest', { parameter }),
  step: (parameter) => t('%(parameter)s, step', { parameter }),
};

/**
 * @param {string} name
 * @param {string} label
 * @param {string} part low, high or step
 * @param {boolean} whole
 */
function rangeInput(name, label, part, whole) {
  return element('input', {
    class: 'input',
    type: 'number',
    inputmode: 'decimal',
    step: whole ? 1 : 'any',
    'aria-label': RANGE_LABELS[part]?.(label),
    'data-testid': `range-${name}-${part}`,
  });
}
