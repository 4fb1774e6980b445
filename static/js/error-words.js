/**
 * The server speaks English. In another language a page words what was refused itself, by the error's code
 * and values; what it has no words for, such as what a provider answered, stands as it was said.
 */

import { formatNumber } from './format.js';
import { languageTag, locale, t } from './i18n.js';
import { known, word } from './words.js';

/** @typedef {Record<string, any>} Values what a sentence speaks of, by name */

/** @type {Record<string, (values: Record<string, string>) => string>} */
const SENTENCES = {
  unreachable: () => t('The server cannot be reached.'),
  invalid_input: () => t('Something that was entered does not fit.'),
  internal_error: () => t('Something went wrong in the server; its log has the details.'),
  not_found: () => t('There is nothing like that, or no longer.'),
  too_many: () => t('That is too much at once. Try again in a moment.'),
  too_large: () => t('That is too large to be taken.'),
  forbidden: () => t('That is not allowed.'),
  wrong_host: () => t('This address is not served here.'),
  wrong_origin: () => t('Requests from other sites are refused.'),
  csrf_missing: () => t('This page was opened in another session. Load it anew.'),
  not_signed_in: () => t('You are signed out. Sign in again.'),
  token_unknown: () => t('There is no such token, or it was revoked.'),
  token_expired: () => t('This token has expired.'),
  scope_too_small: () => t('This token may not do that.'),
  password_needed: () => t('No password is set: other computers are not answered until one is.'),
  ledger_mismatch: () => t('The books do not follow from their trades.'),
  conflict: () => t('That does not go together with what is there already.'),
  order_refused: () => t('The order was refused.'),
  invalid_fee: () => t('The fee is not a sound number.'),
  wrong_password: () => t('The password is wrong.'),
  secret_unreadable: () => t('A stored secret cannot be read: bring back its key, or enter it again.'),
  database_busy: () => t('The database is in use by another program; nothing was changed. Try again in a moment.'),
  disk_full: () => t('The disk is full; nothing was changed. Make room on it.'),
  database_unavailable: () => t('The database cannot be written now; nothing was changed.'),
  backup_running: () => t('A backup is being made already.'),
  unknown_backup: () => t('There is no such backup.'),
  no_address: () => t('Enter the address of a webhook first.'),
  webhook_refused: () => t('The webhook does not take the message.'),
  webhook_unreachable: () => t('The webhook cannot be reached.'),

  unknown_coin: (values) => t('There is no coin %(coin)s.', values),
  unknown_group: () => t('There is no such group.'),
  unknown_model: () => t('There is no such model, or it is archived.'),
  unknown_provider: () => t('There is no such provider.'),
  unknown_trader: () => t('There is no such trader.'),
  unknown_backtest: () => t('There is no such backtest.'),
  unknown_sweep: () => t('There is no such search.'),
  unknown_cycle: () => t('There is no such cycle.'),
  unknown_call: () => t('There is no such call of an LLM.'),
  unknown_trade: () => t('There is no such trade.'),
  unknown_decision: () => t('There is no such decision.'),
  unknown_job: () => t('There is no such job.'),
  symbol_taken: (values) => t('There is a coin %(coin)s already.', values),
  name_taken: (values) => t('There is one named %(name)s already.', values),
  already_in_pool: () => t('This coin is in the pool already.'),
  not_in_pool: (values) => t('%(coin)s is not in this pool.', values),
  pool_empty: () => t('This model’s pool is empty.'),
  provider_in_use: (values) => t('It is used by %(users)s: give those another provider or archive them first.', values),
  no_models: () => t('It has no models yet: fetch or enter one first.'),
  no_provider: () => t('A provider and a model must be chosen first.'),
  no_llm: () => t('This trader asks no language model.'),
  is_replica: () => t('This model follows its first one: change that.'),
  too_many_replicas: (values) => t('A model has 1 to %(most)s accounts.', values),

  cycle_running: () => t('A cycle of this model is running.'),
  cycle_done: () => t('This cycle has been run already.'),
  cycle_interrupted: () => t('Another process has taken over.'),
  loop_elsewhere: () => t('The trading loop runs in another process.'),
  trading_halted: () => t('All trading is stopped until it is resumed.'),
  daily_loss_limit: () => t('This model has lost too much and is stopped until it is resumed.'),
  max_drawdown: () => t('This model has lost too much and is stopped until it is resumed.'),
  nothing_to_trade: () => t('No coin of the pool has a price and up-to-date candles.'),
  insufficient_cash: (values) => t('That takes %(needed)s of margin and fee; cash is %(cash)s.', values),

  no_data: (values) => t('There are no candles of %(coin)s in this range.', values),
  gaps: (values) => t('Too many candles of %(coin)s are missing in this range.', values),
  warmup_missing: (values) => t('%(coin)s has %(before)s bars before the start, where %(asked)s were asked for.', values),
  range_too_long: (values) => t('That is more than %(most)s bars.', values),
  no_closed_bar: () => t('No bar opened and closed in that time.'),
  end_before_start: () => t('The end must be after the start.'),
  interval_too_fine: (values) => t('A run of %(interval)s bars has no candles of %(finer)s.', values),
  prices_unknown: () => t('The prices of this model are not known, so that a cap in money cannot be held.'),
  no_report: () => t('This backtest has no report.'),
  no_decisions: () => t('This backtest has no recorded decisions.'),
  backtest_ended: () => t('This backtest has ended already.'),
  sweep_ended: () => t('This search has ended already.'),
  job_ended: () => t('This job has ended already.'),
  too_many_combinations: (values) => t('These values make more than %(most)s combinations.', values),
  no_combination: () => t('No combination of these values fits.'),
  windows_too_long: () => t('The range is too short for these windows.'),
  asks_an_llm: () => t('A search would ask the LLM for every combination: search over the decisions of a finished run instead.'),
  run_cap: () => t('The run stops, since it would exceed its cap. Its answers are recorded: the same run with a higher cap goes on from here.'),
  answer_missing: () => t('An answer that this run needs is not recorded.'),
  dask_missing: () => t('Searches on other computers need the package distributed.'),
  dask_unreachable: () => t('No computer of the search answers.'),
  worker_died: () => t('The process that ran it has died.'),
  provider_moved: () => t('The provider has moved since: start the run anew.'),

  no_symbol: () => t('It has no symbol on this source.'),
  not_listed: (values) => t('No exchange lists %(coin)s.', values),
  no_data_source: () => t('No data source could answer.'),
  source_error: () => t('No data source could answer.'),
  source_unavailable: () => t('The other side does not answer, or is out of order.'),
  source_rate_limited: () => t('The other side asks for fewer questions.'),
  source_refused: (values) => t('The other side refuses: %(said)s', values),
  source_bad_answer: () => t('The answer of the other side is not sound.'),
  archive_unavailable: () => t('The archive of old candles cannot be read or written.'),
  bad_data: (values) => t('That cannot be used: %(said)s', values),

  llm_unauthorized: () => t('The provider refuses the API key.'),
  llm_rate_limited: () => t('The provider asks for fewer questions.'),
  llm_server_error: () => t('The provider is out of order.'),
  llm_refused: (values) => t('The provider refuses: %(said)s', values),
  llm_redirect: () => t('The provider sends on to another address: enter that one.'),
  llm_address_refused: () => t('The provider’s address may not be asked from here.'),
  llm_unreachable: () => t('The provider cannot be reached.'),
  llm_timeout: () => t('The provider did not answer in time.'),
  llm_bad_answer: () => t('The provider’s answer cannot be read.'),
  llm_error: () => t('The provider could not be asked.'),
  llm_question_refused: () => t('The provider refuses this question.'),
  prompt_too_long: () => t('The prompt is longer than this model may be sent.'),
  llm_empty_choice: () => t('The provider’s answer is empty.'),

  address_refused: () => t('This address may not be used.'),
  address_invalid: () => t('An address begins with https:// or http:// and a host.'),
  address_with_key: () => t('An address has no user or password in it: the key has its own field.'),
  address_with_query: () => t('An address has no ? or # part: it is the base of the API.'),
  address_local: () => t('This address is on this computer or its network: LOCAL_PROVIDERS=on allows that.'),
};

/** Why a field is refused. @type {Record<string, (values: Record<string, string>) => string>} */
const REASONS = {
  missing: () => t('This is needed.'),
  greater_than: ({ gt: limit = '' }) => t('This must be more than %(limit)s.', { limit }),
  greater_than_equal: ({ ge: limit = '' }) => t('This must be at least %(limit)s.', { limit }),
  less_than: ({ lt: limit = '' }) => t('This must be less than %(limit)s.', { limit }),
  less_than_equal: ({ le: limit = '' }) => t('This must be at most %(limit)s.', { limit }),
  out_of_range: (values) => t('This must be from %(least)s to %(most)s.', values),
  multiple_of: ({ multiple_of: step = '' }) => t('This must be a multiple of %(step)s.', { step }),
  string_too_short: ({ min_length: least = '' }) => t('This takes at least %(least)s characters.', { least }),
  string_too_long: ({ max_length: most = '' }) => t('This takes at most %(most)s characters.', { most }),
  string_pattern_mismatch: () => t('This has not the right form.'),
  string_type: () => t('This must be a text.'),
  too_short: ({ min_length: least = '' }) => t('This takes at least %(least)s entries.', { least }),
  too_long: ({ max_length: most = '' }) => t('This takes at most %(most)s entries.', { most }),
  int_parsing: () => t('This must be a whole number.'),
  int_type: () => t('This must be a whole number.'),
  int_from_float: () => t('This must be a whole number.'),
  float_parsing: () => t('This must be a number.'),
  float_type: () => t('This must be a number.'),
  decimal_parsing: () => t('This must be a number.'),
  decimal_type: () => t('This must be a number.'),
  finite_number: () => t('This must be a number.'),
  bool_parsing: () => t('This must be yes or no.'),
  bool_type: () => t('This must be yes or no.'),
  literal_error: () => t('This is none of the choices.'),
  enum: () => t('This is none of the choices.'),
  date_from_datetime_parsing: () => t('This must be a date.'),
  date_parsing: () => t('This must be a date.'),
  date_type: () => t('This must be a date.'),
  extra_forbidden: () => t('This is not known here.'),
  day_out_of_range: () => t('This must be a day between 2009 and 2100.'),
  fast_not_below_slow: () => t('Fast must be smaller than slow.'),
  oversold_not_below_overbought: () => t('Oversold must be smaller than overbought.'),
  exit_above_entry: () => t('Exit must not be larger than entry.'),
  too_many_votes: () => t('There are fewer strategies with a vote.'),
  half_a_range: () => t('This takes values, or low, high and step.'),
  low_above_high: () => t('Low must not be above high.'),
  advice_missing: () => t('Parameters of an advice need an advice.'),
  unknown_advice: () => t('There is no such advice.'),
  advice_does_not_fit: () => t('The parameters of the advice do not fit.'),
  no_time: () => t('This must be a time.'),
  entry_size: () => t('An entry needs exactly one of quantity, notional and weight.'),
  half_a_window: () => t('Days to fit and days to score belong together.'),
  key_of_another_host: () => t('Enter the key again: the stored one was given for another host.'),
};

const listFormat = new Intl.ListFormat(languageTag);

/**
 * An error's sentence in the page's language.
 *
 * @param {string | null | undefined} code
 * @param {string} said by the server, in English
 * @param {Values} [values]
 */
export function errorText(code, said, values = {}) {
  if (locale === 'en' || !code) return said;
  const sentence = SENTENCES[code]?.({ ...shown(values), said });
  if (sentence === undefined) return known(code) ? word(code) : said;
  return isWhole(sentence) ? sentence : said;
}

/**
 * Why fields were refused, in the page's language.
 *
 * @param {Record<string, string>} fields as the server says it, in English
 * @param {Record<string, { code: string, values?: Values }>} reasons the same of those that have a code
 * @returns {Record<string, string>}
 */
export function fieldTexts(fields, reasons) {
  return Object.fromEntries(Object.entries(fields).map(([name, said]) => [name, reasonText(said, reasons[name])]));
}

/** @param {string} said @param {{ code: string, values?: Values }} [reason] */
function reasonText(said, reason) {
  if (locale === 'en' || !reason) return said;
  const text = REASONS[reason.code]?.(shown(reason.values ?? {}));
  return text && isWhole(text) ? text : errorText(reason.code, said, reason.values);
}

/** Whether each value that it speaks of was there. @param {string} sentence */
const isWhole = (sentence) => !/%\(\w+\)s/.test(sentence);

/** The values as texts. @param {Values} values @returns {Record<string, string>} */
function shown(values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, shownValue(value)]));
}

/** @param {any} value */
function shownValue(value) {
  if (typeof value === 'number') return formatNumber(value, Number.isInteger(value) ? 0 : 2);
  return Array.isArray(value) ? listFormat.format(value.map(String)) : String(value);
}
