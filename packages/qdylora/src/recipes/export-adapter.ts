import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  isHubName,
  openCheckpoint,
  readHfConfig,
  writeFolderAtomically,
  writeGgufAdapter,
  type Checkpoint,
  type CheckpointConfig,
} from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { rankSet, slicedAlpha, sliceRank, truncateBySvd, type SlicedAdapter } from '@qdylora/lora-dynamic';
import { describeModel } from '@qdylora/models';
import { refusedValue } from '../config/values/check-combinations.ts';
import { checkValues, type InputOf, type OutputOf } from '../config/values/check-values.ts';
import { valuesOfOptions, type ExplicitValues } from '../config/explicit-values.ts';
import { EXPORT_KEYS } from '../config/verb-keys.ts';
import { assertAdapterShapes } from './adapter/attach-adapter.ts';
import { withoutUntrained } from './adapter/adapter-sidecar.ts';
import { targetNotices } from './adapter/peft-targets.ts';
import { exportUnderBudget } from './budgets/export-under-budget.ts';
import { missingKey } from '../config/names/missing-key.ts';
import { localConfig, localModel, type LocalModelOptions } from './opening/local-model.ts';
import { checkHooks } from './run/check-hooks.ts';
import {
  assertSavedWeights,
  ranksOf,
  readAdapter,
  trainedRanks,
  warnOfUntrainedRank,
  type ReadAdapter,
} from './adapter/read-adapter.ts';
import { statedConfig } from './outputs/write-merged.ts';
import { writeSliced } from './adapter/write-adapter.ts';
import type { RecipeHooks, Warn } from './hooks.ts';

/** Options of `exportAdapter`: the keys of `qdylora export` in camelCase, and the hook for notices. */
export type ExportAdapterOptions = InputOf<typeof EXPORT_KEYS> & Pick<RecipeHooks, 'onNotice'>;

/** The result of `exportAdapter`: the folder that was written, and the adapter in it. */
export interface ExportedAdapter {
  readonly outputDir: string;
  /** The largest of the layers. */
  readonly rank: number;
  /** The smallest of the layers. */
  readonly smallestRank: number;
  /** `base_model_name_or_path` of the written config; null where it is not known. */
  readonly baseModel: string | null;
  /** How the base was stored in training; null where it is not known. */
  readonly quantization: string | null;
  /** Whether its scales were 8-bit; null where it is not known. */
  readonly doubleQuantization: boolean | null;
  /** Weights per scale; null where it is not known. */
  readonly quantizationBlockSize: number | null;
  /** Number of adapted layers. */
  readonly layers: number;
  /** `lora_alpha` of the written config. */
  readonly loraAlpha: number;
  /** `use_rslora` of the written config. */
  readonly useRslora: boolean;
  /** Bytes of A and B of all layers, in float32. */
  readonly bytes: number;
}

/**
 * Exports an adapter at one rank for PEFT, or as a GGUF file for llama.cpp: the same numbers that training
 * used at that rank, or, with `svd`, the best rank-r approximation of the whole adapter. The base model is
 * not needed; for GGUF its config is. With `budget`, each layer has a rank of its own, chosen by what it
 * does to rows of the task; that needs the base model.
 *
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_ADAPTER; BAD_ARGUMENT for a rank above the largest;
 * NOT_EMPTY, WRITE_FAILED
 * @example
 * await exportAdapter({ adapter: 'runs/smol/adapter', rank: 8, outputDir: 'runs/smol-r8' });
 */
export async function exportAdapter({
  onNotice,
  ...options
}: ExportAdapterOptions): Promise<ExportedAdapter> {
  checkHooks('exportAdapter', { onNotice });
  return exportFrom(valuesOfOptions(options), { onNotice });
}

/** The same for values from flags. */
export async function exportFrom(
  explicit: ExplicitValues,
  { onNotice = () => {}, signal }: Pick<RecipeHooks, 'onNotice' | 'signal'> = {},
): Promise<ExportedAdapter> {
  const config = checkValues(EXPORT_KEYS, explicit);
  const { outputDir, format, model, budget, dataset, baseModelName } = config;
  if (!config.adapter) throw missingKey('adapter', 'Name the adapter to cut: --adapter runs/first/adapter.');
  if (!outputDir)
    throw missingKey('output_dir', 'Name a folder for the result: --output-dir adapters/first-r8.');
  const adapter = readAdapter(config.adapter);
  assertSavedWeights(adapter);
  // with a budget the base is opened, which gives these notices
  if (budget === null) for (const notice of targetNotices(adapter, false)) onNotice(notice);
  const baseModel = baseModelName ?? adapter.baseModel;
  const sayWhenWritten = (): void => {
    if (format === 'peft' && baseModel !== null && !isHubName(baseModel))
      warnOfLocalName(baseModel, onNotice);
  };
  const place = { outputDir, baseModel };
  if (budget !== null) {
    const { rank, svd, force } = config;
    refuseBesideBudget(explicit, { rank: rank !== null, svd, force, format: format !== 'peft' });
    const cut = { adapter, budgetBytes: budget, model, dataset, warn: onNotice, signal };
    const layered = await exportUnderBudget({ ...cut, ...place });
    sayWhenWritten();
    return exportedOf(adapter, { ...layered, loraAlpha: layered.rank, useRslora: false }, place);
  }
  refuseWithoutBudget(config, explicit);
  const sliced = await exportOneRank(adapter, config, { ...place, tell: onNotice, signal });
  sayWhenWritten();
  return exportedOf(adapter, sliced, place);
}

type Place = Pick<ExportedAdapter, 'outputDir' | 'baseModel'>;

/** Writes an adapter with one rank at all layers. */
async function exportOneRank(
  adapter: ReadAdapter,
  { rank: requestedRank, svd, force, format, model, baseModelName }: OutputOf<typeof EXPORT_KEYS>,
  { outputDir, baseModel, tell, signal }: Place & { readonly tell: Warn; readonly signal?: AbortSignal },
): Promise<SlicedAdapter> {
  const { state, sidecar } = adapter;
  const rank = requestedRank ?? state.maxRank;
  if (svd) rankSet(state.ranks).assertUsable(rank);
  else ranksOf(adapter, [rank]);
  if (!svd && !force)
    warnOfUntrainedRank(
      adapter,
      rank,
      tell,
      `It is written anyway: measure it with \`npx qdylora eval --ranks ${rank}\`. ` +
        '--force hides this warning.',
    );
  const sliced = svd ? truncateBySvd(state, rank) : sliceRank(state, rank);
  const names = state.layers.map(({ name }) => name);
  if (format === 'gguf')
    await writeGgufSlice(outputDir, sliced, await baseConfig(model, { tell, signal }), {
      ...adapter,
      baseName: baseModelName ?? sidecar?.base.name ?? adapter.baseModel,
    });
  else
    await writeSliced(outputDir, sliced, {
      ...adapter,
      baseModel,
      targetModules: sidecar?.target_modules ?? names, // without the model nobody knows what else ends so
      sidecar: sidecarAt(adapter, sliced, svd),
    });
  return sliced;
}

const exportedOf = (
  { sidecar }: ReadAdapter,
  {
    rank,
    layers,
    loraAlpha,
    useRslora,
  }: Pick<SlicedAdapter, 'rank' | 'loraAlpha' | 'useRslora'> & {
    readonly layers: readonly {
      readonly a: Float32Array;
      readonly b: Float32Array;
      readonly rank?: number;
    }[];
  },
  place: Place,
): ExportedAdapter => ({
  ...place,
  rank,
  smallestRank: Math.min(...layers.map((layer) => layer.rank ?? rank)),
  quantization: sidecar?.base.quantization ?? null,
  doubleQuantization: sidecar?.base.double_quantization ?? null,
  quantizationBlockSize: sidecar?.base.quantization_block_size ?? null,
  layers: layers.length,
  loraAlpha,
  useRslora,
  bytes: layers.reduce((sum, { a, b }) => sum + a.byteLength + b.byteLength, 0),
});

/** @throws QdyloraError BAD_CONFIG for a key that has no effect with `budget` */
function refuseBesideBudget(explicit: ExplicitValues, others: Readonly<Record<string, boolean>>): void {
  const other = Object.keys(others).find((name) => others[name]);
  if (other === undefined) return;
  throw refusedValue(
    explicit,
    other,
    (name) =>
      other === 'format'
        ? `${name('budget')} gives each layer its own rank, and an adapter in GGUF has one for all`
        : `${name(other)} has no effect with ${name('budget')}, which gives each layer its own rank`,
    'Leave one of them out.',
  );
}

/** @throws QdyloraError BAD_CONFIG for rows or a model that nothing would be read from */
function refuseWithoutBudget(
  { dataset, model, format }: OutputOf<typeof EXPORT_KEYS>,
  explicit: ExplicitValues,
): void {
  if (dataset)
    throw refusedValue(
      explicit,
      'dataset',
      (name) => `${name('dataset')} is only for ${name('budget')}, which is not set`,
      'Leave it out, or give a budget.',
    );
  if (model && format === 'peft')
    throw refusedValue(
      explicit,
      'model',
      (name) =>
        `${name('model')} is only for ${name('budget')}, which is not set, and for ${name('format')} gguf`,
      'Leave it out. base_model_name sets the name of the base in the written config.',
    );
}

/** AutoPeftModelForCausalLM looks for the base by this name. */
const warnOfLocalName = (baseModel: string, warn: Warn): void =>
  warn(
    `The base for PEFT, base_model_name_or_path, is ${JSON.stringify(baseModel)}, which is only a folder ` +
      'name. Export again with --base-model-name org/name, or load the base yourself and pass it to PEFT.',
  );

/**
 * The config of the base that a GGUF adapter is for; no weight is read. @throws QdyloraError BAD_CONFIG
 * without one
 */
async function baseConfig(
  model: string | null,
  hub: LocalModelOptions,
): Promise<Pick<Checkpoint, 'name' | 'config'>> {
  if (!model)
    throw missingKey(
      'model',
      'Name the base model, whose heads decide the order of rows in a GGUF file: --model path/to/folder.',
    );
  const hubConfig = existsSync(model) || !isHubName(model) ? null : await hubConfigOf(model, hub);
  if (hubConfig) return { name: model.split('@')[0], config: hubConfig };
  using checkpoint = await openCheckpoint(await localModel(model, hub));
  const { name, config } = checkpoint;
  return { name, config };
}

/** The config of a model on the hub, without its weights; null where it has no file for it (GGUF). */
async function hubConfigOf(model: string, hub: LocalModelOptions): Promise<CheckpointConfig | null> {
  try {
    return readHfConfig(await localConfig(model, hub));
  } catch (error) {
    if (QdyloraError.isInstance(error) && error.code === 'MISSING_FILE') return null;
    throw error;
  }
}

/** `adapter.gguf` in a folder of its own. */
async function writeGgufSlice(
  folder: string,
  { layers, rank, scale }: SlicedAdapter,
  { name, config }: Pick<Checkpoint, 'name' | 'config'>,
  adapter: ReadAdapter & { readonly baseName: string | null },
): Promise<void> {
  const { sidecar, baseName, saved } = adapter;
  if (saved)
    throw new QdyloraError('UNSUPPORTED', {
      where: folder,
      problem:
        'A GGUF adapter holds only LoRA matrices, but this adapter also holds ' +
        `${saved.names.join(', ')}.`,
      nextStep: 'Merge it into its base instead: qdylora merge --format gguf.',
      details: { names: saved.names },
    });
  if (sidecar && sidecar.base.model_type !== config.modelType)
    throw new QdyloraError('BAD_ADAPTER', {
      where: folder,
      problem:
        `The adapter was trained on a ${sidecar.base.model_type} model, but this is a ` +
        `${config.modelType} model.`,
      nextStep: `Name ${sidecar.base.name}.`,
    });
  // rows are arranged by the heads of the config, so another model's would disorder them
  const { weights, linears } = describeModel(config.raw, name);
  const shapes = new Map<string, readonly number[]>([
    ...weights.map((weight) => [weight.name.replace(/\.weight$/, ''), weight.shape] as const), // the head too
    ...linears.map((layer) => [layer.name, layer.shape] as const), // [out, in], however it is stored
  ]);
  assertAdapterShapes({ name, modelType: config.modelType, shapes }, adapter);
  await writeFolderAtomically(folder, (temporary) =>
    writeGgufAdapter(join(temporary, 'adapter.gguf'), {
      layers: layers.map((layer) => ({ ...layer, rank })),
      scale,
      config: statedConfig(config),
      name: baseName ?? undefined,
    }),
  );
}

/**
 * A slice still serves the smaller ranks. With `svd` the scale is part of the matrices, so it is the same at
 * every rank; the rows are in an order of their own then, so no rank is told apart as untrained.
 */
function sidecarAt(
  adapter: ReadAdapter,
  { rank, loraAlpha }: SlicedAdapter,
  svd: boolean,
): ReadAdapter['sidecar'] {
  if (!adapter.sidecar) return null;
  const sidecar = withoutUntrained(adapter.sidecar);
  const { state } = adapter;
  const ranks = [...new Set([...state.ranks.filter((smaller) => smaller < rank), rank])];
  if (svd) return { ...sidecar, ranks, lora_alpha: loraAlpha, lora_scaling: 'constant' };
  const trained = trainedRanks(adapter);
  const untrained = ranks.filter((each) => !trained.includes(each));
  return {
    ...sidecar,
    ranks,
    ...(untrained.length > 0 && { untrained_ranks: untrained }),
    lora_alpha: slicedAlpha(state, rank),
  };
}
