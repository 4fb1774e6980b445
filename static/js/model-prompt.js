/** The prompt of a model on its page: edited beside a live preview of what would be sent, and saved. */

import { put } from './api.js';
import { byId, element } from './element.js';
import { field } from './fields.js';
import { t } from './i18n.js';
import { promptPreview } from './prompt-preview.js';
import { toast, toastError } from './toast.js';

/** @type {HTMLTextAreaElement | null} */
let editor = null;
/** The model as it was last heard of. @type {any} */
let model = null;

/**
 * Shows the editor once, and after that only what was saved elsewhere, never over what is being written.
 *
 * @param {any} current
 * @param {() => void} onSaved
 */
export function showPromptEditor(current, onSaved) {
  const stored = current.prompt ?? '';
  const isUntouched = editor?.value === (model?.prompt ?? '');
  model = current;
  if (!editor) make(onSaved);
  else if (isUntouched && editor.value !== stored) editor.value = stored;
  showWhetherChanged();
}

/** @param {() => void} onSaved */
function make(onSaved) {
  editor = element('textarea', { class: 'textarea', rows: 6, maxlength: 20_000 }, model.prompt ?? '');
  const preview = promptPreview(() => ({
    model_id: model.id,
    params: model.params,
    prompt: editor?.value.trim() || null,
    interval: model.interval,
    cycle_minutes: model.cycle_minutes,
    risk: model.risk,
  }));
  editor.addEventListener('input', () => {
    showWhetherChanged();
    preview.changed();
  });
  byId('prompt').append(
    field({
      name: 'prompt',
      label: t('Its own prompt'),
      control: editor,
      hint: t('Your instructions; the market, the account and the form of the answer are added to it.'),
    }),
    preview.node,
  );
  byId('save-prompt').addEventListener('click', async () => {
    try {
      await put(`/api/models/${model.id}`, { prompt: editor?.value.trim() || null });
      toast(t('The prompt is saved; it holds from the next cycle on.'));
      onSaved();
    } catch (error) {
      toastError(error);
    }
  });
}

function showWhetherChanged() {
  byId('save-prompt').toggleAttribute('disabled', editor?.value === (model?.prompt ?? ''));
}
