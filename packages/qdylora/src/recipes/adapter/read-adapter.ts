import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ADAPTER_WEIGHTS_FILE,
  isPeftAdapter,
  readPeftAdapter,
  type PeftAdapter,
  type PeftAdapterConfig,
  changedContent,
  MANIFEST_FILE,
} from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { adapterStateOf, rankSet, type AdapterState } from '@qdylora/lora-dynamic';
import { readSidecar, type AdapterSidecar } from './adapter-sidecar.ts';

/** An adapter from disk with its nested ranks. An adapter of another trainer has one rank. */
export interface ReadAdapter {
  readonly folder: string;
  readonly state: AdapterState;
  /** The rank of each layer where they differ; null: all layers have that of `state`. */
  readonly layerRanks: ReadonlyMap<string, number> | null;
  /** Null for an adapter from elsewhere. */
  readonly sidecar: AdapterSidecar | null;
  readonly baseModel: string | null;
  /** Whole weights that replace those of the base; null: none. */
  readonly saved: AdapterSaved | null;
  /** PEFT's flag for a base that stores its matrices as [in, out]. */
  readonly fanInFanOut: boolean;
}

/**
 * The weights of the base that an adapter replaces. They are read from its folder when a model is built and
 * when the adapter is written again.
 */
export interface AdapterSaved extends Pick<PeftAdapterConfig, 'modulesToSave' | 'ensureWeightTying'> {
  readonly folder: string;
  readonly names: readonly string[];
}

/** A notice for adapters that hold whole weights. */
export const savedNotice = ({ names }: AdapterSaved): string =>
  `The adapter replaces whole weights of the base: ${names.join(', ')}. They are the same at every rank. ` +
  `The base that is shown beside the ranks has them too.`;

/**
 * Reads an adapter folder: ours with all its ranks and their scale, any other PEFT adapter at its full rank.
 *
 * @throws QdyloraError MISSING_FILE where there is no adapter; BAD_ADAPTER, UNSUPPORTED, BAD_FILE
 */
export function readAdapter(folder: string): ReadAdapter {
  if (!isPeftAdapter(folder)) {
    throw new QdyloraError('MISSING_FILE', {
      where: 'adapter',
      problem: `There is no adapter_config.json in ${folder}.`,
      nextStep: 'A run writes it to <output_dir>/adapter.',
      details: { folder },
    });
  }
  assertUndamaged(folder);
  const adapter = readPeftAdapter(folder);
  const sidecar = readSidecar(folder, adapter.sidecar);
  const {
    config: { baseModel, fanInFanOut, modulesToSave, ensureWeightTying },
    saved,
  } = adapter;
  return {
    folder,
    state: isNested(adapter, sidecar) ? nestedState(folder, adapter, sidecar) : singleRankState(adapter),
    layerRanks: layerRanksOf(adapter),
    sidecar,
    baseModel,
    fanInFanOut,
    saved: saved.size === 0 ? null : { folder, names: [...saved.keys()], modulesToSave, ensureWeightTying },
  };
}

/** @throws QdyloraError BAD_FILE where the weights are not those of the folder's manifest */
function assertUndamaged(folder: string): void {
  const change = changedContent(folder, ADAPTER_WEIGHTS_FILE);
  if (change === null) return;
  throw new QdyloraError('BAD_FILE', {
    where: join(folder, ADAPTER_WEIGHTS_FILE),
    problem: `The file was changed after it was written: it has ${change}`,
    nextStep: `Copy it again from where it was trained. If you changed it yourself, delete ${MANIFEST_FILE}.`,
  });
}

/**
 * How an adapter was trained, without reading its arrays. Null for an adapter of another trainer, and where
 * `readAdapter` says what is wrong.
 */
export function storedSidecar(folder: string): AdapterSidecar | null {
  const path = join(folder, 'qdylora.json');
  if (!existsSync(path)) return null;
  try {
    return readSidecar(folder, JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (QdyloraError.isInstance(error)) throw error;
    return null; // readAdapter says what is wrong with it
  }
}

function layerRanksOf({ layers }: PeftAdapter): ReadonlyMap<string, number> | null {
  const ranks = new Map([...layers].map(([name, { rank }]) => [name, rank]));
  return new Set(ranks.values()).size > 1 ? ranks : null;
}

/** One of ours, unless its layers have ranks of their own (`export --budget`). */
const isNested = ({ config }: PeftAdapter, sidecar: AdapterSidecar | null): sidecar is AdapterSidecar =>
  sidecar !== null && !(sidecar.ranks.length === 1 && config.rankPattern.size > 0);

function nestedState(
  folder: string,
  { config, layers }: PeftAdapter,
  { ranks, lora_alpha: alpha, lora_scaling: scaling }: AdapterSidecar,
): AdapterState {
  const set = rankSet(ranks);
  const namedLayers = [...layers].map(([name, layer]) => ({ name, ...layer }));
  if (set.maxRank !== config.r || namedLayers.some(({ rank }) => rank !== config.r)) {
    throw new QdyloraError('BAD_ADAPTER', {
      where: folder,
      problem:
        `The rank is ${config.r} in adapter_config.json, but the largest rank of qdylora.json or ` +
        `of a layer is ${set.maxRank}.`,
      nextStep: 'The files do not belong together; take the adapter from where it was trained.',
    });
  }
  return adapterStateOf(
    { rank: config.r, scale: 1, loraAlpha: alpha, useRslora: scaling === 'sqrt', layers: namedLayers },
    { ranks: set.ranks, alpha, scaling },
  );
}

/**
 * Keeps the layers where all have one rank and scale. Otherwise layers of smaller rank get rows of zeros, and
 * scales are multiplied into B.
 */
function singleRankState({ layers, config: { loraAlpha, useRslora } }: PeftAdapter): AdapterState {
  const namedLayers = [...layers].map(([name, layer]) => ({ name, ...layer }));
  const rank = namedLayers.reduce((most, layer) => Math.max(most, layer.rank), 1);
  const scale = useRslora ? loraAlpha / Math.sqrt(rank) : loraAlpha / rank;
  const isUniform = namedLayers.every((layer) => layer.rank === rank && layer.scale === scale);
  if (isUniform && loraAlpha > 0)
    return adapterStateOf(
      { rank, scale, loraAlpha, useRslora, layers: namedLayers },
      { ranks: [rank], alpha: loraAlpha, scaling: useRslora ? 'sqrt' : 'constant' },
    );
  const filled = namedLayers.map(({ name, inFeatures, outFeatures, a, b, rank: narrow, scale }) => {
    const wideA = new Float32Array(rank * inFeatures);
    const wideB = new Float32Array(outFeatures * rank);
    wideA.set(a);
    for (let o = 0; o < outFeatures; o++)
      for (let k = 0; k < narrow; k++) wideB[o * rank + k] = scale * b[o * narrow + k];
    return { name, inFeatures, outFeatures, a: wideA, b: wideB };
  });
  return adapterStateOf(
    { rank, scale: 1, loraAlpha: rank, useRslora: false, layers: filled },
    { ranks: [rank], alpha: rank, scaling: 'constant' },
  );
}

/**
 * The requested ranks of an adapter: one, a list, or `all`.
 *
 * @throws QdyloraError BAD_ARGUMENT for rank 0 or above the largest; BAD_ADAPTER for a smaller rank of an
 * adapter that was trained at one rank only
 */
export function ranksOf(
  { state, sidecar, folder }: ReadAdapter,
  requestedRanks: 'all' | readonly number[],
): readonly number[] {
  if (requestedRanks === 'all') return state.ranks;
  const set = rankSet(state.ranks);
  for (const rank of requestedRanks) {
    set.assertUsable(rank);
    if (sidecar === null && rank !== state.maxRank) {
      throw new QdyloraError('BAD_ADAPTER', {
        where: folder,
        problem: `This adapter was trained at rank ${state.maxRank} only, so it has no rank ${rank}.`,
        nextStep: 'A part of an ordinary LoRA adapter is worth little; train with ranks to get all of them.',
        details: { rank, ranks: state.ranks },
      });
    }
  }
  return requestedRanks;
}

/** A rank between two trained ones works, but no step has optimized it. 0, the base, is no such rank. */
export function warnOfUntrainedRank(
  { ranks }: Pick<AdapterState, 'ranks'>,
  rank: number,
  warn: (message: string) => void,
  advice = '',
): void {
  if (rank === 0 || ranks.includes(rank)) return;
  warn(
    `Rank ${rank} was not trained: the ranks of this adapter are ${ranks.join(', ')}. ${advice}`.trimEnd(),
  );
}
