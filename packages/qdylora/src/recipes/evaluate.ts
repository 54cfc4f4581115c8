import {
  lossOver,
  perplexity,
  sweepRanks,
  type MeasureOptions,
  type PairedDifference,
  type RankReport,
} from '@qdylora/eval';
import { modelAtLevel } from '@qdylora/lora-dynamic';
import type { InputOf, OutputOf } from '../config/values/check-values.ts';
import { valuesOfOptions, type ExplicitValues } from '../config/explicit-values.ts';
import { EVALUATE_KEYS } from '../config/verb-keys.ts';
import { checkHooks } from './run/check-hooks.ts';
import type { BackendChoice } from './opening/choose-backend.ts';
import { assertRowsExist } from './run/assert-rows-exist.ts';
import { loadEvalExamples } from './run/load-data.ts';
import { assertNotAborted } from './run/steps/tell-abort.ts';
import { missingKey } from '../config/names/missing-key.ts';
import { checkModelValues, openModel, openModelSource, type OpenModel } from './opening/open-model.ts';
import { warnOfCopies } from './opening/warn-of-copies.ts';
import { warnOfLongText } from './opening/warn-of-positions.ts';
import type { WeightPrecision } from './opening/weight-precision.ts';
import { ranksOf, readAdapter, warnOfUntrainedRank } from './adapter/read-adapter.ts';
import { noticeOtherRows, rowsAsTrained } from './adapter/rows-as-trained.ts';
import type { RecipeHooks } from './hooks.ts';

export type EvaluateConfig = OutputOf<typeof EVALUATE_KEYS>;
/** Options of `evaluate`: the keys of `qdylora eval` in camelCase, the hooks, and the backend. */
export type EvaluateOptions = Omit<InputOf<typeof EVALUATE_KEYS>, 'backend'> &
  RecipeHooks & { readonly backend?: BackendChoice };

/** Loss over examples at one rank; null: the model without an adapter. */
export interface EvaluationRow {
  readonly rank: number | null;
  readonly loss: number;
  readonly perplexity: number;
  readonly tokens: number;
  readonly standardError: number;
  /** The difference from the model without its adapter, with `compareWithBase`; else null. */
  readonly versusBase: PairedDifference | null;
}

/** The result of `evaluate`: the loss at each rank, and how the ranks compare. */
export interface Evaluation {
  /** The name of the model. */
  readonly model: string;
  /** How the matrices of the model are stored, and how many of them. */
  readonly precision: WeightPrecision;
  /** One for each rank, rising; with `compareWithBase` the model without its adapter comes first. */
  readonly results: readonly EvaluationRow[];
  /** Comparisons between the ranks; null without an adapter. */
  readonly report: RankReport | null;
}

/**
 * Loss and perplexity of a model over text or answers, at each requested rank of its adapter.
 *
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_DATA, BAD_ADAPTER, …
 * @example
 * const adapter = 'runs/smol/adapter';
 * const options = { model: 'models/smollm2', adapter, ranks: 'all', dataset: 'test.jsonl' } as const;
 * const { results } = await evaluate(options);
 */
export async function evaluate({
  signal,
  onNotice,
  onProgress,
  ...options
}: EvaluateOptions = {}): Promise<Evaluation> {
  checkHooks('evaluate', { signal, onNotice, onProgress });
  return evaluateFrom(valuesOfOptions(options), { signal, onNotice, onProgress, backend: options.backend });
}

/** A notice for ranks without an adapter. */
export const IDLE_RANKS = 'There is no adapter, so ranks does nothing: the one row is the model.';

/** The same for values from flags. */
export async function evaluateFrom(
  explicit: ExplicitValues,
  { backend, signal, onNotice = () => {}, onProgress }: RecipeHooks & { readonly backend?: BackendChoice },
): Promise<Evaluation> {
  const config = checkModelValues(EVALUATE_KEYS, explicit, rowsAsTrained);
  if (!config.dataset) throw missingKey('dataset', 'Name the rows to judge by: --dataset rows.jsonl.');
  assertNotAborted(signal, 'evaluate');
  assertRowsExist(config.dataset);
  if (!config.adapter && Array.isArray(config.ranks)) onNotice(IDLE_RANKS);
  if (!config.adapter && config.compareWithBase)
    onNotice('There is no adapter, so compare_with_base does nothing: the one row is the base.');
  const adapter = config.adapter === null ? null : readAdapter(config.adapter);
  noticeOtherRows(adapter?.sidecar ?? null, config, onNotice);
  const ranks = adapter && ranksOf(adapter, config.ranks);
  for (const rank of ranks ?? []) warnOfUntrainedRank(adapter!, rank, onNotice);
  const opening = { adapter, warn: onNotice, signal };
  // rows before weights: a mistake in them is found at once, and the memory of the tokenizer is free again
  const source = await openModelSource(config, opening);
  const examples = await loadEvalExamples(
    config.dataset,
    { ...config, vocabularySize: source.vocabularySize, signal },
    await source.openTokenizer(),
  );
  warnOfCopies(examples, 'rows', onNotice);
  using opened = await openModel(config, { ...opening, backend, source });
  const longest = examples.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  const rows = { what: 'Rows have up to', tokens: longest, advice: 'lower max_seq_length' };
  warnOfLongText(opened.model.config, rows, onNotice);
  const options: MeasureOptions = { computeDtype: opened.computeDtype, signal, onProgress };
  return {
    model: opened.source.name,
    precision: opened.precision,
    ...(ranks
      ? await judgeRanks(opened, { ...config, ranks }, examples, options)
      : await judgeModel(opened, examples, options)),
  };
}

type Examples = Parameters<typeof perplexity>[0];

async function judgeModel(
  { model, level }: OpenModel,
  examples: Examples,
  options: MeasureOptions,
): Promise<Pick<Evaluation, 'results' | 'report'>> {
  const {
    loss,
    perplexity: exp,
    tokens,
    standardError,
  } = await lossOver({ model: modelAtLevel(model, level), active: null }, examples, options);
  return {
    results: [{ rank: null, loss, perplexity: exp, tokens, standardError, versusBase: null }],
    report: null,
  };
}

async function judgeRanks(
  { model, adapter, level }: OpenModel,
  { ranks, compareWithBase }: Pick<EvaluateConfig, 'compareWithBase'> & { readonly ranks: readonly number[] },
  examples: Examples,
  options: MeasureOptions,
): Promise<Pick<Evaluation, 'results' | 'report'>> {
  const { adapted } = adapter!;
  const report = await sweepRanks((rank) => adapted.atRank(rank, { level }), ranks, perplexity(examples), {
    ...options,
    base: compareWithBase ? { model: modelAtLevel(model, level), active: null } : null,
  });
  const { tokens, base } = report;
  const rows = report.ranks.map(({ rank, loss, perplexity: exp, standardError, versusBase }) => ({
    rank,
    loss,
    perplexity: exp,
    tokens,
    standardError,
    versusBase,
  }));
  return { results: base ? [{ rank: null, ...base, tokens, versusBase: null }, ...rows] : rows, report };
}
