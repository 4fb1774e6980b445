/** Why a backtest or a search has failed, in the page's language: by the code and the values that are stored with it. */

import { formatMoney, formatNumber, formatPercent, formatTime } from './format.js';
import { languageTag, t } from './i18n.js';
import { failureText as sourceFailure } from './source-words.js';

/** @typedef {{ error: string | null, code: string | null, values: Record<string, any> }} Failure */

/** Why a language model gave no answer. @type {Record<string, string>} */
const LLM_FAILURES = {
  llm_timeout: t('The provider did not answer in time.'),
  llm_unreachable: t('The provider cannot be reached.'),
  llm_unauthorized: t('The provider refuses the API key.'),
  llm_rate_limited: t('The provider asks for fewer questions.'),
  llm_server_error: t('The provider is out of order.'),
  llm_refused: t('The provider refuses the question.'),
  llm_question_refused: t('The provider refuses the question.'),
  llm_redirect: t('The provider sends on to another address, which is not followed.'),
  llm_address_refused: t('This address of a provider is not allowed.'),
  llm_bad_answer: t("The provider's answer cannot be read."),
  llm_empty_choice: t("The provider's answer cannot be read."),
};

/** By code. @type {Record<string, (values: any) => string>} */
const SENTENCES = {
  no_data: ({ coin, percent, reason, said }) =>
    percent === undefined
      ? t('There are no bars of %(coin)s in this range.', { coin })
      : t('%(percent)s of the bars of %(coin)s are not stored, and no source answers for them: %(why)s', { coin, percent: formatPercent(percent, false), why: sourceFailure(reason, said) }),
  gaps: tooManyGaps,
  warmup_missing: ({ coin, before, asked }) =>
    t('%(coin)s has %(before)s bars before the start, where %(asked)s were asked for as warm-up.', { coin, before: formatNumber(before), asked: formatNumber(asked) }),
  run_cap: ({ time, ...spent }) =>
    t('The run stops at %(time)s, since it would exceed its cap: %(why)s. Its answers are recorded: the same run with a higher cap goes on from here.', { time: formatTime(time, 'full'), why: whyCapped(spent) }),
  answer_missing: ({ coins, time }) =>
    t('No answer is recorded to the question about %(coins)s at %(time)s, and this run may not ask.', { coins: new Intl.ListFormat(languageTag).format(coins), time: formatTime(time, 'full') }),
  no_provider: ({ address }) => t('There is no provider at %(address)s to ask.', { address }),
  provider_moved: ({ before, address }) => t('The provider has moved from %(before)s to %(address)s: start the run anew.', { before, address }),
  worker_died: () => t('The processes that ran it have died.'),
  internal_error: ({ said }) => t('Something went wrong here (%(said)s); the log has the details.', { said }),
};

/** What has no words here, and what an earlier version stored without values, stands as it was said. @param {Failure} failure */
export function failureText({ error, code, values }) {
  if (!code) return error ?? '';
  const isKnown = Object.keys(values).length > 0 || code === 'worker_died';
  if (isKnown && code.startsWith('llm_')) return stoppedText(code, values);
  const sentence = isKnown ? SENTENCES[code]?.(values) : undefined;
  return sentence ?? sourceFailure(code, error ?? '');
}

/** @param {string} code @param {Record<string, any>} values */
function stoppedText(code, { time, said }) {
  const why = LLM_FAILURES[code] ?? said;
  return t('The run stops at %(time)s: %(why)s Its answers are recorded: the same run asked for again goes on from here.', { time: formatTime(time, 'full'), why });
}

/** @param {any} values */
function tooManyGaps({ coin, bars, percent, most_percent: mostPercent, time, most }) {
  const count = formatNumber(bars);
  if (time === undefined) {
    return t('%(coin)s lacks %(bars)s bars inside the range, %(percent)s of them, where at most %(most)s may be missing.', { coin, bars: count, percent: formatPercent(percent, false), most: formatPercent(mostPercent, false) });
  }
  return t('%(coin)s lacks %(bars)s bars in one place, from %(time)s on, where at most %(most)s may be missing.', { coin, bars: count, time: formatTime(time, 'full'), most: formatNumber(most) });
}

/** @param {any} values */
function whyCapped({ calls, spent, next, most }) {
  if (calls !== undefined) return t('%(calls)s of %(most)s calls are made', { calls: formatNumber(calls), most: formatNumber(most) });
  if (spent === undefined) return t("it is capped in money, and the model's prices are not known");
  return t('%(spent)s of %(most)s are spent, and the next call may cost %(next)s', { spent: formatMoney(spent), most: formatMoney(most), next: formatMoney(next) });
}
