import { assertNewFolder } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { sliceLayer } from '@qdylora/lora-dynamic';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import { missingKey } from '../../config/names/missing-key.ts';
import { EVALUATE_KEYS } from '../../config/verb-keys.ts';
import type { ReadAdapter } from '../adapter/read-adapter.ts';
import { rowsAsTrained } from '../adapter/rows-as-trained.ts';
import { writeLayered, type RankedMatrices } from '../adapter/write-adapter.ts';
import { checkModelValues, openModel, openModelSource } from '../opening/open-model.ts';
import { assertRowsExist } from '../run/assert-rows-exist.ts';
import { loadEvalExamples } from '../run/load-data.ts';
import { assertBudgetsFit } from './assert-budgets-fit.ts';
import { chooseRanks } from './choose-ranks.ts';
import { layersAtRanks, withCuts, type CutLayer } from './cut-adapter.ts';
import { BUDGET_ROWS, weighRows } from './weigh-rows.ts';
import type { Warn } from '../hooks.ts';

export interface BudgetOptions {
  readonly adapter: ReadAdapter;
  readonly budgetBytes: number;
  readonly model: string | null;
  readonly dataset: string | readonly string[] | null;
  readonly outputDir: string;
  /** For `base_model_name_or_path`. */
  readonly baseModel: string | null;
  readonly warn: Warn;
  readonly signal?: AbortSignal;
}

/** What was written: the rank of each layer, without those of rank 0. */
export interface LayeredAdapter {
  readonly rank: number;
  readonly layers: readonly RankedMatrices[];
}

/**
 * Writes an adapter of at most `budgetBytes`, with a rank of its own for each layer (PEFT's `rank_pattern`).
 * Of every layer the first rows are kept, and most of them where they gain most per byte (`weighRows`),
 * unless one rank everywhere has a smaller loss (`chooseRanks`).
 *
 * @throws QdyloraError BAD_CONFIG without a model or rows; BAD_ARGUMENT for a budget below one row;
 * UNSUPPORTED for an adapter with whole weights, or one that was not trained; whatever opening a model throws
 */
export async function exportUnderBudget({
  adapter,
  budgetBytes,
  model,
  dataset,
  outputDir,
  baseModel,
  warn,
  signal,
}: BudgetOptions): Promise<LayeredAdapter> {
  if (!model)
    throw missingKey('model', 'Name the base model, which runs over the rows: --model path/to/folder.');
  assertNewFolder(outputDir);
  if (!dataset) throw missingKey('dataset', 'Name rows of the task: --dataset rows.jsonl.');
  if (adapter.saved)
    throw new QdyloraError('UNSUPPORTED', {
      where: adapter.folder,
      problem: `It also holds whole weights (${adapter.saved.names.join(', ')}), which have no rank.`,
      nextStep: 'Export it at one rank.',
    });
  assertBudgetsFit([budgetBytes], adapter.state, 'budget');
  const chosen = await chosenLayers(adapter, budgetBytes, { model, dataset, warn, signal });
  const layers = chosen
    .filter(({ rank }) => rank > 0)
    .map((layer) => ({ ...sliceLayer(layer, layer.rank), rank: layer.rank }));
  await writeLayered(outputDir, layers, { ...adapter, baseModel });
  return { rank: Math.max(...layers.map(({ rank }) => rank)), layers };
}

/** What decides about the ranks. */
type JudgedRows = Required<Pick<BudgetOptions, 'model' | 'dataset'>> & Pick<BudgetOptions, 'warn' | 'signal'>;

async function chosenLayers(
  adapter: ReadAdapter,
  budgetBytes: number,
  { model, dataset, warn, signal }: JudgedRows,
): Promise<CutLayer[]> {
  const config = checkModelValues(
    EVALUATE_KEYS,
    valuesOfOptions({ model, dataset, adapter: adapter.folder }),
    rowsAsTrained,
  );
  assertRowsExist(config.dataset!);
  const opening = { adapter, warn, signal };
  const source = await openModelSource(config, opening);
  const examples = await loadEvalExamples(
    config.dataset!,
    { ...config, vocabularySize: source.vocabularySize, signal },
    await source.openTokenizer(),
  );
  const taskRows = examples.slice(0, BUDGET_ROWS);
  using opened = await openModel(config, { ...opening, source });
  const { model: base, level, computeDtype } = opened;
  const trained = { model: base, adapted: opened.adapter!.adapted, state: adapter.state, level };
  const weighed = await weighRows(trained, taskRows, { computeDtype, signal });
  if (weighed.gains.every(({ gains }) => gains.every((gain) => gain === 0)))
    throw new QdyloraError('UNSUPPORTED', {
      where: adapter.folder,
      problem: 'No row of the adapter changes the loss, so none is worth its bytes: it was not trained',
      nextStep: 'Train it, or export one rank of it.',
    });
  const ranks = await withCuts(trained, weighed.state, (cut) =>
    chooseRanks(budgetBytes, weighed, { cut, taskRows, computeDtype, signal }),
  );
  return layersAtRanks(weighed.state, ranks);
}
