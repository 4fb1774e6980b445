/**
 * A coin of a model's pool as a row that stays while its values change: whether it is enabled, its
 * weight, its share, and why it may be close-only.
 *
 * @typedef {object} PoolState
 * @property {boolean} in_pool a coin outside of it is there for its open position
 * @property {boolean} is_enabled
 * @property {number} weight
 * @property {number} share 0 to 1
 * @property {boolean} has_position
 * @property {boolean} close_only no position may be opened in it
 * @property {string | null} close_only_reason
 *
 * @typedef {import('./coin-facts.js').Coin & PoolState} PoolCoin
 */

import { categoryBadge } from './coin-facts.js';
import { element, replaceContent, setText } from './element.js';
import { formatPercent } from './format.js';
import { t } from './i18n.js';
import { coinLink } from './positions.js';
import { word } from './words.js';

/** @param {PoolCoin} first */
export function poolRow(first) {
  const { id, symbol, name, category } = first;
  const enabled = element('input', { type: 'checkbox', 'data-do': 'enable', 'data-testid': `enable-${symbol}` });
  const weight = element('input', {
    class: 'input pool-weight',
    type: 'number',
    inputmode: 'decimal',
    step: 'any',
    required: true,
    'data-above': 0,
    'data-do': 'weigh',
    'aria-label': t('Weight of %(coin)s', { coin: symbol }),
    'aria-describedby': `weight-error-${id}`,
    'data-testid': `weight-${symbol}`,
  });
  const error = element('p', {
    class: 'field-error',
    id: `weight-error-${id}`,
    'data-testid': `weight-error-${symbol}`,
  });
  const bar = element('progress', {
    class: 'progress',
    max: 1,
    'aria-label': t('Share of %(coin)s', { coin: symbol }),
  });
  const percent = element('span', { class: 'number', 'data-testid': `share-${symbol}` });
  const badges = element('span', { class: 'pool-badges' });
  const reason = element('p', { class: 'pool-reason', 'data-testid': `reason-${symbol}` });
  const enabledLabel = element('label', { class: 'checkbox' }, enabled, element('span', {}, t('Enabled')));
  const weightField = element(
    'label',
    { class: 'pool-weighing' },
    element('span', { class: 'muted' }, t('Weight')),
    weight,
  );
  const take = button('remove', t('Remove'), symbol);
  const back = button('add', t('Add again'), symbol);
  const node = element(
    'li',
    { class: 'pool-row', 'data-key': id, 'data-testid': `selected-${symbol}` },
    element(
      'div',
      { class: 'pool-coin' },
      coinLink(symbol),
      element('span', { class: 'one-line muted', title: name }, name),
      categoryBadge(category),
      badges,
    ),
    enabledLabel,
    weightField,
    element('div', { class: 'pool-share' }, bar, percent),
    element('div', { class: 'pool-do' }, take, back),
    error,
    reason,
  );

  /** @param {number} share */
  function showShare(share) {
    bar.value = share;
    setText(percent, formatPercent(100 * share, false));
  }

  /** @param {string | null} why it was refused */
  function showWeightError(why) {
    setText(error, why ?? '');
    if (why) weight.setAttribute('aria-invalid', 'true');
    else weight.removeAttribute('aria-invalid');
  }

  /** @param {PoolCoin} coin */
  function update(coin) {
    const inside = coin.in_pool;
    enabled.checked = coin.is_enabled;
    // What is being written is not taken away.
    if (document.activeElement !== weight) {
      weight.value = String(coin.weight);
      showWeightError(null);
    }
    for (const part of [enabledLabel, weightField, take]) part.hidden = !inside;
    /** @type {HTMLElement} */ (bar.parentElement).hidden = !inside;
    back.hidden = inside || !coin.is_active;
    node.classList.toggle('pool-off', !coin.is_enabled || !coin.is_active);
    replaceContent(badges, ...stateBadges(coin));
    setText(reason, reasonText(coin));
    reason.hidden = !reason.textContent;
    showShare(coin.share);
  }

  update(first);
  return { node, weight, update, showShare, showWeightError };
}

/** @param {PoolCoin} coin */
function stateBadges({ symbol, close_only: closeOnly, close_only_reason: reason, has_position: held }) {
  const badge = (/** @type {string} */ kind, /** @type {string} */ text, /** @type {string} */ key) =>
    element('span', { class: `badge ${kind}`, 'data-testid': `${key}-${symbol}` }, text);
  return [
    held ? badge('badge-accent', t('Position open'), 'held') : null,
    held && closeOnly ? badge('badge-warn', t('Close-only'), 'close-only') : null,
    // That it is disabled is seen in its box.
    !held && closeOnly && reason !== 'disabled_in_pool' ? badge('badge-muted', word(reason), 'barred') : null,
  ];
}

/** @param {PoolCoin} coin */
function reasonText({ close_only: closeOnly, close_only_reason: reason, has_position: held }) {
  if (!closeOnly || !held) return '';
  const why = word(reason);
  const says = t('The open position is priced and can be closed; no new one is opened.');
  return why ? `${why}. ${says}` : says;
}

/**
 * @param {string} key
 * @param {string} label
 * @param {string} symbol
 */
function button(key, label, symbol) {
  const described = {
    'aria-label': `${label}: ${symbol}`,
    'data-do': key,
    'data-action': key,
    'data-testid': `${key}-${symbol}`,
  };
  return element('button', { type: 'button', class: 'button button-small', ...described }, label);
}
