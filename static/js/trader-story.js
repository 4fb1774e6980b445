/** How a model decides, for who asks why it did. */

import { element } from './element.js';
import { t } from './i18n.js';
import { paramsText } from './model-settings.js';

/**
 * What its trader says of itself, and the parameters that it has now.
 *
 * @param {{ id: number, name: string, trader: string, trader_name: string, interval: string, params: Record<string, unknown> }} model
 * @param {any[]} traders as /api/traders tells them
 */
export function traderStory(model, traders) {
  const { description = '', params_schema: schema } = traders.find(({ key }) => key === model.trader) ?? {};
  const terms = [t('%(interval)s candles', { interval: model.interval }), schema ? paramsText(model.params, schema.properties) : ''];
  return element(
    'div',
    { class: 'notice', 'data-testid': 'trader-story' },
    element('strong', {}, t(model.trader_name)),
    element('span', {}, description ? t(description) : null),
    element('span', { class: 'muted' }, terms.filter(Boolean).join(' · ')),
  );
}
