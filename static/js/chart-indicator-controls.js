/** A chart's indicators as chips: each opens the fields of its parameters; a list adds more. */

import {
  DEFAULT_INDICATORS, indicatorName, indicatorsFrom, indicatorsText, KINDS, MOST_INDICATORS, newIndicator,
} from './chart-indicators.js';
import { element, replaceContent } from './element.js';
import { t } from './i18n.js';
import { fromUrl, toUrl } from './url-state.js';

/** @typedef {import('./chart-indicators.js').Indicator} Indicator */
/** @typedef {import('./chart-indicators.js').IndicatorKind} IndicatorKind */

/**
 * @param {HTMLElement} container
 * @param {(indicators: Indicator[]) => void} onChange called at once and with each change
 */
export function indicatorControls(container, onChange) {
  let indicators = indicatorsFrom(fromUrl('indicators') ?? DEFAULT_INDICATORS);
  const chips = element('div', { class: 'chips' });
  const add = element(
    'select',
    { class: 'select chart-add', 'aria-label': t('Add an indicator'), 'data-testid': 'indicator-add' },
    element('option', { value: '', disabled: true, selected: true, hidden: true }, '+ ', t('Indicator')),
    ...Object.entries(KINDS).map(([kind, { name, description }]) => element('option', { value: kind }, `${name} · ${description}`)),
  );
  add.addEventListener('change', () => {
    set([...indicators, newIndicator(/** @type {IndicatorKind} */ (add.value), indicators)]);
    add.value = '';
  });
  replaceContent(container, chips, add);
  set(indicators);

  /** @param {Indicator[]} wanted */
  function set(wanted) {
    indicators = wanted;
    replaceContent(chips, ...indicators.flatMap(indicatorChip));
    add.disabled = indicators.length >= MOST_INDICATORS;
    tell();
  }

  function tell() {
    const text = indicatorsText(indicators);
    toUrl({ indicators: text === DEFAULT_INDICATORS ? null : text });
    onChange(indicators);
  }

  /** @param {Indicator} indicator @param {number} index */
  function indicatorChip(indicator, index) {
    const name = element('span', {}, indicatorName(indicator));
    const swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' });
    swatch.style.setProperty('--series-color', `var(${indicator.color})`);
    const id = `indicator-${index + 1}`;
    const chip = element(
      'button',
      { type: 'button', class: 'chip', popovertarget: id, title: t('Change or remove'), 'data-testid': `${id}-chip` },
      swatch, name,
    );
    const editor = indicatorEditor(id, indicator, {
      onParameter(at, value) {
        indicator = { ...indicator, parameters: indicator.parameters.with(at, value) };
        indicators = indicators.with(index, indicator);
        name.textContent = indicatorName(indicator);
        tell();
      },
      onRemove: () => set(indicators.toSpliced(index, 1)),
    });
    editor.addEventListener('beforetoggle', () => placeUnder(editor, chip));
    return [chip, editor];
  }
}

/**
 * @param {string} id
 * @param {Indicator} indicator
 * @param {{ onParameter: (at: number, value: number) => void, onRemove: () => void }} listeners
 */
function indicatorEditor(id, { kind, parameters }, { onParameter, onRemove }) {
  const { description, parameters: descriptions } = KINDS[kind];
  const fields = descriptions.map(({ label, min, max, step }, at) => {
    const input = element('input', {
      class: 'input', type: 'number', min, max, step, value: parameters[at], required: true, 'data-testid': `${id}-${at + 1}`,
    });
    let taken = input.value;
    input.addEventListener('change', () => {
      if (!input.checkValidity()) input.value = taken;
      if (input.value === taken) return;
      taken = input.value;
      onParameter(at, Number(taken));
    });
    return element('label', { class: 'indicator-field' }, element('span', {}, label), input);
  });
  return element(
    'div',
    { class: 'indicator-editor', id, popover: 'auto', role: 'dialog', 'aria-label': description },
    element('p', { class: 'indicator-title' }, description),
    ...fields,
    element('button', { type: 'button', class: 'button button-small', onclick: onRemove, 'data-testid': `${id}-remove` }, t('Remove')),
  );
}

/** @param {HTMLElement} editor as wide as its style says @param {HTMLElement} chip */
function placeUnder(editor, chip) {
  const { left, bottom } = chip.getBoundingClientRect();
  editor.style.setProperty('--left', `${left}px`);
  editor.style.setProperty('--top', `${bottom}px`);
}
