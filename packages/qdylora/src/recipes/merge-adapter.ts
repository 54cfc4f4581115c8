import { join } from 'node:path';
import { assertNewFolder } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { yieldToEvents } from '@qdylora/data';
import { STORED_LEVEL } from '@qdylora/quant';
import type { InputOf, OutputOf } from '../config/values/check-values.ts';
import { valuesOfOptions, type ExplicitValues } from '../config/explicit-values.ts';
import { FORMAT_DTYPES, type MergeDtype, type MergeFormat } from '../config/merge-formats.ts';
import { MERGE_KEYS } from '../config/verb-keys.ts';
import { asStored, mergedWeights, type ModelWeight } from './adapter/adapted-weights.ts';
import type { BackendChoice } from './opening/choose-backend.ts';
import { missingKey } from '../config/names/missing-key.ts';
import { checkHooks } from './run/check-hooks.ts';
import { checkModelValues, openModel } from './opening/open-model.ts';
import { logitDifference, probeIds, probeLogits, type LogitDifference } from './outputs/probe-logits.ts';
import { ranksOf, readAdapter, warnOfUntrainedRank, type ReadAdapter } from './adapter/read-adapter.ts';
import { GGUF_FILE, writeMergedFloats, writeMergedGguf, writeMergedPacked } from './outputs/write-merged.ts';
import type { SaveDtype } from './outputs/write-model.ts';
import type { RecipeHooks } from './hooks.ts';

/**
 * Options of `mergeAdapter`: the keys of `qdylora merge` in camelCase, the hook for notices, and the backend.
 */
export type MergeAdapterOptions = Omit<InputOf<typeof MERGE_KEYS>, 'backend'> &
  Pick<RecipeHooks, 'onNotice'> & { readonly backend?: BackendChoice };

/** What the command passes too. */
type MergeHooks = Pick<RecipeHooks, 'onNotice' | 'signal'> & { readonly backend?: BackendChoice };

type Config = OutputOf<typeof MERGE_KEYS>;

/** The result of `mergeAdapter`: the model that was written, and how it differs from base and adapter. */
export interface MergedModel {
  readonly outputDir: string;
  /** The rank at which the adapter was merged. */
  readonly rank: number;
  /** Number of adapted layers. */
  readonly layers: number;
  readonly format: MergeFormat;
  readonly dtype: MergeDtype;
  /**
   * Difference between the logits of the base with its adapter and those of the result, opened again. Null
   * with `check: false`.
   */
  readonly difference: LogitDifference | null;
  /** Only for a merge into 4 bits: √(Σ error² / Σ weight²) over its matrices. */
  readonly packingError: number | null;
}

/**
 * Merges an adapter at one rank into a copy of its base. Writes a Hugging Face folder (in files of at most 5
 * GB) or a GGUF file for llama.cpp. The base is the one that training used: 4-bit weights are decoded first,
 * unless `quantization: none` asks for the original weights. Then the result is opened and compared.
 *
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_ADAPTER; BAD_ARGUMENT for a rank that the adapter does
 * not have; UNSUPPORTED for a model that GGUF cannot describe; NOT_EMPTY, WRITE_FAILED
 */
export async function mergeAdapter({ onNotice, ...options }: MergeAdapterOptions): Promise<MergedModel> {
  checkHooks('mergeAdapter', { onNotice });
  return mergeFrom(valuesOfOptions(options), { backend: options.backend, onNotice });
}

/**
 * The same for values from flags.
 *
 * @throws QdyloraError ABORTED where `signal` fires: before the model is written, which is absent then, or
 * before its check
 */
export async function mergeFrom(explicit: ExplicitValues, hooks: MergeHooks): Promise<MergedModel> {
  const config = checkModelValues(MERGE_KEYS, explicit);
  const { outputDir, format } = config;
  const dtype = dtypeOf(config);
  if (!outputDir)
    throw missingKey('output_dir', 'Name a folder for the merged model: --output-dir models/first.');
  assertNewFolder(outputDir);
  const { probe, ...merged } = await writeMerged({ ...config, dtype }, outputDir, hooks);
  if (probe) await yieldToEvents(hooks.signal, ABORTED_CHECK);
  const difference =
    probe &&
    logitDifference(
      probe.logits,
      await logitsOf(join(outputDir, format === 'gguf' ? GGUF_FILE : ''), probe.ids, config, hooks),
      probe.ids.length,
    );
  return { outputDir, format, dtype, difference, ...merged };
}

/**
 * The type of the merged weights; F16 by default for GGUF.
 *
 * @throws QdyloraError BAD_CONFIG for a type that the format does not have
 */
function dtypeOf({ format, dtype }: Config): MergeDtype {
  const chosen = dtype ?? (format === 'gguf' ? 'f16' : 'bf16');
  const possible = FORMAT_DTYPES[format];
  if (possible.includes(chosen)) return chosen;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'dtype',
    problem: `The dtype of the format ${format} must be one of ${possible.join(', ')} (got ${chosen}).`,
    nextStep: 'Choose another type, or the other format.',
    details: { format, dtype: chosen },
  });
}

interface Probe {
  readonly ids: readonly number[];
  readonly logits: Float32Array;
}
type Written = Pick<MergedModel, 'rank' | 'layers' | 'packingError'> & { readonly probe: Probe | null };

/**
 * Writes the model and computes the logits of the base with its adapter. Both are freed before the result is
 * opened.
 */
async function writeMerged(
  config: Config & { readonly dtype: MergeDtype },
  outputDir: string,
  { backend, onNotice = () => {}, signal }: MergeHooks,
): Promise<Written> {
  const { adapter: folder, format, dtype } = config;
  if (!folder) throw missingKey('adapter', 'Name the adapter to merge: --adapter runs/first/adapter.');
  const adapter = readAdapter(folder);
  assertMergeable(adapter, config);
  const [rank] = ranksOf(adapter, [config.rank ?? adapter.state.maxRank]) as [number];
  warnOfUntrainedRank(adapter, rank, onNotice);
  using opened = await openModel(config, { adapter, backend, warn: onNotice, signal });
  const { adapted } = opened.adapter!;
  const { source, model } = opened;
  const weights = mergedWeights(model, adapted, rank).map((weight) => interruptible(weight, signal));
  const stored = asStored(weights, model);
  let packingError: number | null = null;
  if (format === 'gguf') await writeMergedGguf(outputDir, { weights: stored, source }, dtype);
  else if (dtype === 'nf4' || dtype === 'fp4')
    packingError = await writeMergedPacked(
      outputDir,
      { weights, source },
      { backend: opened.chosen.backend, packing: { ...config, quantization: dtype } },
    );
  else await writeMergedFloats(outputDir, { weights: stored, source }, dtype as SaveDtype);
  if (config.check) await yieldToEvents(signal, ABORTED_CHECK);
  const ids = config.check ? probeIds(await source.openTokenizer(), model.config) : null;
  return {
    rank,
    layers: adapted.layers.length,
    packingError,
    probe: ids && { ids, logits: await probeLogits(adapted.atRank(rank), ids) },
  };
}

const ABORTED_CHECK = {
  where: 'merge',
  problem: 'The model is written. Its check was aborted',
} as const;

/** The same weight, which is not computed any more once `signal` has fired. */
const interruptible = (weight: ModelWeight, signal?: AbortSignal): ModelWeight => ({
  ...weight,
  async values() {
    await yieldToEvents(signal, { where: 'merge', problem: 'The merge was aborted' });
    return weight.values();
  },
});

/** @throws QdyloraError UNSUPPORTED for an adapter of a run at another level than the stored one */
function assertMergeable({ sidecar, folder }: ReadAdapter, { quantization }: Config): void {
  const level = sidecar?.base.level;
  if (level === undefined || quantization === 'none') return;
  throw new QdyloraError('UNSUPPORTED', {
    where: folder,
    problem: `It was trained at ${level} bits per weight, but a merge decodes the base at ${STORED_LEVEL}.`,
    nextStep: 'Merge it into the original weights (--quantization none), or use it unmerged.',
    details: { level },
  });
}

/** What the written model says. */
async function logitsOf(
  path: string,
  ids: readonly number[],
  config: Config,
  { backend, onNotice = () => {}, signal }: MergeHooks,
): Promise<Float32Array> {
  using opened = await openModel(
    { ...config, model: path, quantization: null }, // as it was written
    { adapter: null, backend, warn: onNotice, signal },
  );
  return await probeLogits({ model: opened.model, active: null }, ids);
}
