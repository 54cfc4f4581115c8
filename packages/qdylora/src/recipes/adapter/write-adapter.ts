import {
  deferredBytes,
  openSavedWeights,
  writePeftAdapter,
  type TensorSource,
  type WritePeftAdapterOptions,
} from '@qdylora/checkpoint';
import { hostData, type Memory } from '@qdylora/contract';
import { peftScaling, transposed, type Adapted, type SlicedAdapter } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import type { Parameter } from '@qdylora/tensor';
import { withoutUntrained, type AdapterSidecar, type TrainedPrompt } from './adapter-sidecar.ts';
import type { AdapterSaved, ReadAdapter } from './read-adapter.ts';

/** The base of an adapter, as its files name it. */
export type AdapterBase = AdapterSidecar['base'];

/** What is written beside the arrays of an adapter. */
export interface AdapterMetadata {
  readonly base: AdapterBase;
  readonly prompt: TrainedPrompt | null;
  /** Whole weights that are copied from the adapter that the run started from. */
  readonly saved: AdapterSaved | null;
}

/** Writes a trained adapter at its full rank, one matrix at a time. */
export async function writeAdapted(
  folder: string,
  adapted: Adapted<CausalLm>,
  { base, prompt, saved }: AdapterMetadata,
): Promise<void> {
  const {
    ranks: { ranks, maxRank },
    config: { alpha, scaling, dropout },
    report,
    model: {
      backend: { memory },
      storesInOut,
    },
  } = adapted;
  const layers = adapted.layers.map(({ name, inFeatures, outFeatures, a, b }) => ({
    name,
    a: float32Source([maxRank, inFeatures], () => numbersOf(memory, a)),
    b: float32Source([outFeatures, maxRank], async () =>
      transposed(await numbersOf(memory, b), maxRank, outFeatures),
    ),
  }));
  const targetModules = targetNames(report.matched, report.unmatched);
  await writeWithSaved(folder, saved, {
    layers,
    rank: maxRank,
    ...peftScaling(scaling, alpha, maxRank, maxRank),
    loraDropout: dropout,
    targetModules,
    baseModel: base.name,
    fanInFanOut: storesInOut,
    replace: true,
    sidecar: {
      format: 'qdylora-adapter',
      version: 1,
      ranks: [...ranks],
      lora_alpha: alpha,
      lora_scaling: scaling,
      target_modules: targetModules,
      base,
      prompt,
    } satisfies AdapterSidecar,
  });
}

/** The numbers of a parameter: a view of host memory, otherwise a copy. */
const numbersOf = async (memory: Memory, { view }: Parameter): Promise<Float32Array> =>
  (memory.space.isHost ? hostData(view) : await memory.read(view)) as Float32Array;

/** A float32 tensor that is computed when it is written. */
const float32Source = (
  shape: readonly [number, number],
  values: () => Promise<Float32Array>,
): TensorSource => ({
  dtype: 'F32',
  shape,
  ...deferredBytes(shape[0] * shape[1] * Float32Array.BYTES_PER_ELEMENT, values),
});

/** Whole weights go from file to file. */
async function writeWithSaved(
  folder: string,
  saved: AdapterSaved | null,
  options: WritePeftAdapterOptions,
): Promise<void> {
  if (!saved) return writePeftAdapter(folder, options);
  using savedWeights = openSavedWeights(saved.folder);
  const { modulesToSave, ensureWeightTying } = saved;
  await writePeftAdapter(folder, {
    ...options,
    modulesToSave,
    ensureWeightTying,
    saved: savedWeights.tensors,
  });
}

/**
 * Writes one rank of an adapter as a plain LoRA adapter, which also serves all smaller listed ranks.
 * `sidecar` is null where its base is not known.
 */
export async function writeSliced(
  folder: string,
  sliced: SlicedAdapter,
  {
    sidecar,
    baseModel,
    dropout,
    fanInFanOut,
    saved,
    targetModules,
  }: Pick<ReadAdapter, 'sidecar' | 'baseModel' | 'dropout' | 'fanInFanOut' | 'saved'> & {
    readonly targetModules: readonly string[];
  },
): Promise<void> {
  await writeWithSaved(folder, saved, {
    layers: sliced.layers,
    rank: sliced.rank,
    loraAlpha: sliced.loraAlpha,
    useRslora: sliced.useRslora,
    loraDropout: dropout,
    targetModules,
    fanInFanOut,
    baseModel: baseModel ?? undefined,
    sidecar: sidecar ?? undefined,
  });
}

/** One layer of an adapter whose layers have ranks of their own.  a: [rank, in]  b: [out, rank] */
export interface RankedMatrices {
  readonly name: string;
  readonly rank: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** Writes an adapter with a rank for each layer. It computes B·A·x: every layer's alpha is its rank. */
export async function writeLayered(
  folder: string,
  layers: readonly RankedMatrices[],
  {
    sidecar,
    baseModel,
    dropout,
    fanInFanOut,
  }: Pick<ReadAdapter, 'sidecar' | 'baseModel' | 'dropout' | 'fanInFanOut'>,
): Promise<void> {
  const rank = Math.max(...layers.map((layer) => layer.rank));
  const pattern = Object.fromEntries(
    layers.filter((layer) => layer.rank !== rank).map((layer) => [layer.name, layer.rank]),
  );
  const targetModules = layers.map(({ name }) => name);
  await writePeftAdapter(folder, {
    layers,
    rank,
    loraAlpha: rank,
    rankPattern: pattern,
    alphaPattern: pattern,
    loraDropout: dropout,
    targetModules,
    fanInFanOut,
    baseModel: baseModel ?? undefined,
    sidecar: sidecar
      ? {
          ...withoutUntrained(sidecar), // with a rank for each layer, the ranks of training mean nothing
          ranks: [rank],
          lora_alpha: rank,
          lora_scaling: 'constant',
          target_modules: targetModules,
        }
      : undefined,
  });
}

/**
 * The last parts of layer names where they mean exactly the matched layers, as in configs that PEFT writes;
 * otherwise full names.
 */
function targetNames(matched: readonly string[], unmatched: readonly string[]): string[] {
  const ends = [...new Set(matched.map((name) => name.slice(name.lastIndexOf('.') + 1)))].sort();
  const isExact = !unmatched.some((name) => ends.some((end) => name === end || name.endsWith(`.${end}`)));
  return isExact ? ends : [...matched].sort();
}
