import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ADAPTER_WEIGHTS_FILE,
  isPeftAdapter,
  readPeftAdapter,
  type PeftAdapter,
  type PeftAdapterConfig,
  type PeftLayer,
  changedContent,
  manifestDamage,
  isSameScale,
  MANIFEST_FILE,
  SIDECAR_FILE,
} from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { adapterStateOf, rankSet, scaleAt, type AdapterState } from '@qdylora/lora-dynamic';
import { readSidecar, type AdapterSidecar } from './adapter-sidecar.ts';

/** An adapter from disk with its nested ranks. An adapter of another trainer has one rank. */
export interface ReadAdapter {
  readonly folder: string;
  readonly state: AdapterState;
  /** Ranks of `state` that no step has trained, though they were exported. */
  readonly untrainedRanks: readonly number[];
  /** The rank of each layer where they differ; null: all layers have that of `state`. */
  readonly layerRanks: ReadonlyMap<string, number> | null;
  /** Layers whose scale is not that of `state`: their B contains the ratio of the two. */
  readonly rescaled: readonly string[];
  /** Dropout on the input of the adapter in training. */
  readonly dropout: number;
  /** Null for an adapter from elsewhere. */
  readonly sidecar: AdapterSidecar | null;
  readonly baseModel: string | null;
  /** Whole weights that replace those of the base; null: it has none, and its config names no module. */
  readonly saved: AdapterSaved | null;
  /** PEFT's flag for a base that stores its matrices as [in, out]. */
  readonly fanInFanOut: boolean;
  /** Fields of its config with an expression that is not read: see `PeftAdapter`. */
  readonly unreadFields: readonly string[];
  /** True if its config names no modules, so that PEFT takes those of the base's architecture. */
  readonly hasDefaultTargets: boolean;
}

/**
 * The weights of the base that an adapter replaces. They are read from its folder when a model is built and
 * when the adapter is written again.
 */
export interface AdapterSaved extends Pick<PeftAdapterConfig, 'modulesToSave' | 'ensureWeightTying'> {
  readonly folder: string;
  /** Of the weights in its file; empty where they were lost, or the base has no module of the config. */
  readonly names: readonly string[];
}

/** A notice for adapters that hold whole weights. */
export const savedNotice = ({ names }: AdapterSaved): string =>
  `The adapter replaces whole weights of the base: ${names.join(', ')}. They are the same at every rank. ` +
  `The base that is shown beside the ranks has them too.`;

/**
 * Refuses an adapter whose file has none of the weights that its config names. For commands that open no
 * base: `withSavedWeights` of @qdylora/models says it of each module that the base has.
 *
 * @throws QdyloraError BAD_ADAPTER
 */
export function assertSavedWeights({ folder, saved }: Pick<ReadAdapter, 'folder' | 'saved'>): void {
  if (saved === null || saved.names.length > 0) return;
  const { modulesToSave } = saved;
  throw new QdyloraError('BAD_ADAPTER', {
    where: folder,
    problem: `modules_to_save names ${modulesToSave.join(', ')}, but the adapter's file has no such weight.`,
    nextStep:
      'Config and weights do not belong together, or the adapter is damaged. Save it again. If the base ' +
      'has no such module, set modules_to_save to null.',
    details: { modulesToSave },
  });
}

/** Values of Axolotl's key `adapter`, which is no folder. */
const METHOD_NAMES: readonly string[] = ['qlora', 'lora'];

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
      nextStep: METHOD_NAMES.includes(folder)
        ? `Axolotl's \`adapter: ${folder}\` is \`method: ${folder}\` here.`
        : 'A run writes it to <output_dir>/adapter.',
      details: { folder },
    });
  }
  assertUndamaged(folder);
  const adapter = readPeftAdapter(folder);
  const sidecar = readSidecar(folder, adapter.sidecar);
  const {
    config: { baseModel, loraDropout, fanInFanOut, targetModules, modulesToSave, ensureWeightTying },
    saved,
    unreadFields,
  } = adapter;
  const states = isNested(adapter, sidecar)
    ? { state: nestedState(folder, adapter, sidecar), rescaled: [] }
    : singleRankState(adapter);
  const isEmpty = saved.size === 0 && modulesToSave.length === 0;
  return {
    folder,
    ...states,
    untrainedRanks: sidecar?.untrained_ranks ?? [],
    layerRanks: layerRanksOf(adapter),
    dropout: loraDropout,
    sidecar,
    baseModel,
    fanInFanOut,
    unreadFields,
    hasDefaultTargets: targetModules === null,
    saved: isEmpty ? null : { folder, names: [...saved.keys()], modulesToSave, ensureWeightTying },
  };
}

/**
 * Checks the weights and `qdylora.json` against the manifest, but not adapter_config.json, in which people
 * name another base. Without `qdylora.json` the adapter is one of PEFT, beside which any manifest may be.
 *
 * @throws QdyloraError BAD_FILE where a file was changed, or the manifest cannot be read
 */
function assertUndamaged(folder: string): void {
  const hasSidecar = existsSync(join(folder, SIDECAR_FILE));
  const damage = hasSidecar ? manifestDamage(folder) : null;
  if (damage !== null)
    throw new QdyloraError('BAD_FILE', {
      where: join(folder, MANIFEST_FILE),
      problem: `The manifest of the adapter ${damage}, so its files cannot be checked`,
      nextStep:
        'Copy the adapter again from where it was trained. To use it unchecked, delete ' +
        `${MANIFEST_FILE}.`,
    });
  for (const name of hasSidecar ? [ADAPTER_WEIGHTS_FILE, SIDECAR_FILE] : [ADAPTER_WEIGHTS_FILE]) {
    const change = changedContent(folder, name);
    if (change === null) continue;
    throw new QdyloraError('BAD_FILE', {
      where: join(folder, name),
      problem: `The file was changed after it was written: it has ${change}`,
      nextStep:
        'Copy it again from where it was trained. If you changed it yourself, delete ' +
        (name === SIDECAR_FILE ? `${MANIFEST_FILE}.` : `${MANIFEST_FILE} and ${SIDECAR_FILE}.`),
    });
  }
}

/**
 * How an adapter was trained, without reading its arrays. Null for an adapter of another trainer, and where
 * `readAdapter` says what is wrong.
 */
export function storedSidecar(folder: string): AdapterSidecar | null {
  const path = join(folder, SIDECAR_FILE);
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
      nextStep: 'The files do not belong together. Copy the adapter again from where it was trained.',
    });
  }
  assertScales(folder, layers, scaleAt(scaling, alpha, config.r, config.r));
  return adapterStateOf(
    { rank: config.r, scale: 1, loraAlpha: alpha, useRslora: scaling === 'sqrt', layers: namedLayers },
    { ranks: set.ranks, alpha, scaling },
  );
}

/** @throws QdyloraError BAD_ADAPTER where adapter_config.json has another scale than qdylora.json */
function assertScales(folder: string, layers: PeftAdapter['layers'], sidecarScale: number): void {
  for (const [name, { scale, rank }] of layers) {
    if (isSameScale(sidecarScale, scale)) continue;
    throw new QdyloraError('BAD_ADAPTER', {
      where: folder,
      problem:
        `The scale of ${name} at rank ${rank} is ${scale} in adapter_config.json, but ${sidecarScale} in ` +
        'qdylora.json.',
      nextStep:
        'Copy the adapter again from where it was trained. If you changed adapter_config.json yourself, ' +
        'delete qdylora.json: the adapter then has its full rank only.',
      details: { name, scale, sidecarScale },
    });
  }
}

/**
 * The adapter gets the scale that most layers have, so these train as in PEFT. The B of any other layer is
 * multiplied by the ratio of its scale to that. Layers of smaller rank get rows of zeros.
 */
function singleRankState({
  layers,
  config: { r, loraAlpha, useRslora },
}: PeftAdapter): Pick<ReadAdapter, 'state' | 'rescaled'> {
  const namedLayers = [...layers].map(([name, layer]) => ({ name, ...layer }));
  const rank = namedLayers.reduce((most, layer) => Math.max(most, layer.rank), 1);
  const divisorAt = (atRank: number): number => (useRslora ? Math.sqrt(atRank) : atRank);
  const scale = scaleOfMost(namedLayers, loraAlpha / divisorAt(r));
  const alpha = scale === loraAlpha / divisorAt(rank) ? loraAlpha : scale * divisorAt(rank);
  const filled = namedLayers.map((layer) => filledUp(layer, rank, layer.scale / scale));
  return {
    state: adapterStateOf(
      { rank, scale, loraAlpha: alpha, useRslora, layers: filled },
      { ranks: [rank], alpha, scaling: useRslora ? 'sqrt' : 'constant' },
    ),
    rescaled: namedLayers.flatMap((layer) => (layer.scale === scale ? [] : [layer.name])),
  };
}

/**
 * The scale > 0 that most layers have. On a tie: that of the config, otherwise the first. 1 if no layer has
 * one.
 */
function scaleOfMost(layers: readonly NamedLayer[], configScale: number): number {
  const counts = new Map(configScale > 0 ? [[configScale, 0]] : []);
  for (const { scale } of layers) if (scale > 0) counts.set(scale, (counts.get(scale) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return [...counts].find(([, count]) => count === most)?.[0] ?? 1;
}

type NamedLayer = PeftLayer & { readonly name: string };

/** A layer with zeros in its rows from its rank to `rank`, and B multiplied by `ratio`. */
function filledUp(layer: NamedLayer, rank: number, ratio: number): NamedLayer {
  const { inFeatures, outFeatures, rank: narrow } = layer;
  if (narrow === rank && ratio === 1) return layer;
  const a = new Float32Array(rank * inFeatures);
  const b = new Float32Array(outFeatures * rank);
  a.set(layer.a);
  for (let o = 0; o < outFeatures; o++)
    for (let k = 0; k < narrow; k++) b[o * rank + k] = ratio * layer.b[o * narrow + k];
  return { ...layer, a, b };
}

/** A notice for an adapter that is trained further; null: all its layers have one scale. */
export function rescaledNotice({ rescaled, state: { layers } }: ReadAdapter): string | null {
  if (rescaled.length === 0 || rescaled.length === layers.length) return null; // all: lora_alpha is 0
  return (
    `${rescaled.length} of ${layers.length} layers (${rescaled[0]}, …) have a scale of their own ` +
    '(rank_pattern, alpha_pattern). Here all layers have one scale, and the B of these contains the ratio: ' +
    'the loss is the same, but they take other steps than in PEFT.'
  );
}

/**
 * The requested ranks of an adapter: one, a list, or `all`.
 *
 * @throws QdyloraError BAD_ARGUMENT for rank 0 or above the largest; BAD_ADAPTER for a smaller rank of an
 * adapter of one rank
 */
export function ranksOf(
  { state, folder }: ReadAdapter,
  requestedRanks: 'all' | readonly number[],
): readonly number[] {
  if (requestedRanks === 'all') return state.ranks;
  const set = rankSet(state.ranks);
  for (const rank of requestedRanks) {
    set.assertUsable(rank);
    if (state.ranks.length === 1 && rank !== state.maxRank) {
      throw new QdyloraError('BAD_ADAPTER', {
        where: folder,
        problem: `This adapter has rank ${state.maxRank} only, so it has no rank ${rank}.`,
        nextStep:
          'Its rows were not trained in an order, so a slice of them is of little use. Train at several ' +
          'ranks, or let export approximate it with --svd.',
        details: { rank, ranks: state.ranks },
      });
    }
  }
  return requestedRanks;
}

/** A rank between two trained ones works, but no step has optimized it. */
export function warnOfUntrainedRank(
  adapter: Pick<ReadAdapter, 'state' | 'untrainedRanks'>,
  rank: number,
  warn: (message: string) => void,
  advice = '',
): void {
  const ranks = trainedRanks(adapter);
  if (ranks.includes(rank)) return;
  const trained = ranks.length === 0 ? '.' : `: the trained ranks of this adapter are ${ranks.join(', ')}.`;
  warn(`Rank ${rank} was not trained${trained} ${advice}`.trimEnd());
}

/** The ranks that steps have trained; none for a single rank that was exported between trained ones. */
export const trainedRanks = ({
  state,
  untrainedRanks,
}: Pick<ReadAdapter, 'state' | 'untrainedRanks'>): readonly number[] =>
  state.ranks.filter((rank) => !untrainedRanks.includes(rank));
