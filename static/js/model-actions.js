/** What can be done with a model: one cycle now, pause, resume, close everything, archive. */

import { ApiError, post, remove } from './api.js';
import { confirmed } from './dialog.js';
import { formatNumber } from './format.js';
import { t } from './i18n.js';
import { toast, toastError } from './toast.js';

/** @typedef {{ id: number, name: string, enabled: boolean, open_positions: number }} Model */

/** @type {Record<string, (model: Model) => Promise<boolean>>} each says whether it was done */
export const MODEL_ACTIONS = {
  run: (model) =>
    attempt(async () => {
      const { success, error, code, decisions, executions } = await post(`/api/models/${model.id}/execute`);
      if (!success) throw new ApiError(error, 200, code);
      return t('%(name)s ran one cycle. Decisions: %(decisions)s, trades: %(trades)s.', {
        name: model.name,
        decisions: formatNumber(decisions.length),
        trades: formatNumber(executions.length),
      });
    }),

  pause: (model) =>
    attempt(async () => {
      await post(`/api/models/${model.id}/pause`);
      return t('%(name)s is paused.', { name: model.name });
    }),

  resume: (model) =>
    attempt(async () => {
      await post(`/api/models/${model.id}/resume`);
      return t('%(name)s trades again.', { name: model.name });
    }),

  flatten: async (model) => {
    const sure = await confirmed({
      title: t('Close all positions of %(name)s?', { name: model.name }),
      message: t(
        'Every open position is closed at its price now, with the usual fees. The model goes on trading in its next cycle unless it is paused. Positions open now: %(count)s.',
        { count: formatNumber(model.open_positions) },
      ),
      confirmLabel: t('Close all positions'),
    });
    return (
      sure &&
      attempt(async () => {
        await post(`/api/models/${model.id}/flatten`);
        return t('The positions of %(name)s are closed.', { name: model.name });
      })
    );
  },

  archive: async (model) => {
    const sure = await confirmed({
      title: t('Archive %(name)s?', { name: model.name }),
      message: t(
        'It stops trading and leaves the lists, and its name becomes free. Its trades and account values are kept. Positions open now: %(count)s.',
        { count: formatNumber(model.open_positions) },
      ),
      confirmLabel: t('Archive'),
    });
    return (
      sure &&
      attempt(async () => {
        await remove(`/api/models/${model.id}`);
        return t('%(name)s is archived.', { name: model.name });
      })
    );
  },
};

/** @param {() => Promise<string>} action what it answers is told */
async function attempt(action) {
  try {
    toast(await action());
    return true;
  } catch (error) {
    toastError(error);
    return false;
  }
}
