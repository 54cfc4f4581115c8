import {
  hostData,
  createHostBackend,
  createRng,
  viewOf,
  type ArrayView,
  type Backend,
} from '@qdylora/contract';
import { collate, createBatches, type Example } from '@qdylora/data';
import { attachDyLora, type AdaptableModel, type AdapterConfig, type Adapted } from '@qdylora/lora-dynamic';
import {
  apply,
  differentiableAdd,
  EmbeddingTable,
  headLoss,
  Linear,
  mapLinears,
  Parameter,
  parametersOf,
  recompute,
  RmsNormLayer,
  type FloatTensor,
  type ForwardContext,
  type LinearLike,
} from '@qdylora/tensor';
import type { LossBatch, LossModel } from '../src/index.ts';

export const VOCABULARY = 11;
export const HIDDEN = 6;

interface Modules {
  readonly embedding: EmbeddingTable;
  readonly blocks: readonly { readonly norm: RmsNormLayer; readonly linear: LinearLike }[];
  readonly head: Linear;
}

/**
 * The smallest model with everything that training meets: embedding → two blocks x + linear(norm(x)) → head
 * and loss. Frozen unless somebody trains it.
 */
export interface TinyModel extends LossModel, AdaptableModel<TinyModel> {
  readonly modules: Modules;
}

export function tinyModel(
  backend: Backend = createHostBackend({ poison: true }),
  seed = 3,
  hidden = HIDDEN,
): TinyModel {
  const weight = (name: string, shape: readonly number[], scale: number, shift = 0): Parameter => {
    const rng = createRng(seed).named(name);
    const view = backend.memory.allocate('f32', shape);
    backend.memory.persist(view);
    for (let i = 0; i < hostData(view).length; i++) hostData(view)[i] = shift + scale * rng.normal(i);
    return new Parameter(name, view);
  };
  const block = (i: number) => ({
    norm: new RmsNormLayer(`blocks.${i}.norm`, weight(`blocks.${i}.norm`, [hidden], 0.1, 1), 1e-6),
    linear: new Linear(`blocks.${i}.linear`, weight(`blocks.${i}.linear`, [hidden, hidden], 0.4)),
  });
  return modelOver(backend, {
    embedding: new EmbeddingTable('embedding', weight('embedding', [VOCABULARY, hidden], 1)),
    blocks: [block(0), block(1)],
    head: new Linear('head', weight('head', [VOCABULARY, hidden], 0.5)),
  });
}

function modelOver(backend: Backend, modules: Modules): TinyModel {
  return {
    backend,
    modules,
    withModules: (replace) => modelOver(backend, { ...modules, blocks: mapLinears(modules.blocks, replace) }),
    parameters: () => parametersOf(modules),
    vocabularySize: VOCABULARY,
    loss(ctx, batch, { lossScale, softTargets }) {
      const ids = i32(backend, batch.ids);
      const targets = i32(backend, batch.targets);
      let x: FloatTensor = modules.embedding.forward(ctx, ids);
      for (const { norm, linear } of modules.blocks) {
        const body = (inner: ForwardContext, input: FloatTensor): FloatTensor =>
          apply(
            inner,
            differentiableAdd,
            { a: input, b: linear.forward(inner, norm.forward(inner, input)) },
            {},
          ).y;
        x = ctx.recompute ? recompute(ctx, x, body) : body(ctx, x);
      }
      const { weight } = modules.head as Linear & { readonly weight: Parameter };
      return headLoss(ctx, { x: x as never, weight, targets }, { lossScale, softTargets });
    },
  };
}

function i32(backend: Backend, values: Int32Array): ArrayView<'i32'> {
  const view = backend.memory.allocate('i32', [values.length]);
  backend.memory.write(view, values);
  return view;
}

/**
 * The tiny model with nested adapters on its two linear layers. B is not 0, so that every gradient is there
 * from the first step on.
 */
export function tinyAdapted(
  config: Partial<AdapterConfig> = {},
  model: TinyModel = tinyModel(),
): Adapted<TinyModel> {
  const adapted = attachDyLora(model, { ranks: [1, 2, 4], targetModules: ['linear'], seed: 5, ...config });
  const rng = createRng(9);
  for (const layer of adapted.layers)
    for (let i = 0; i < hostData(layer.b.view).length; i++)
      hostData(layer.b.view)[i] = 0.1 * rng.named(layer.name).normal(i);
  return adapted;
}

/** Examples in which the next token follows from the last one, most of the time. */
export function tinyExamples(count: number, seed = 1): Example[] {
  const rng = createRng(seed);
  return Array.from({ length: count }, (_, i) => {
    const length = 2 + Math.floor(rng.uniform(i, 1) * 5);
    const ids = new Int32Array(length);
    ids[0] = Math.floor(rng.uniform(i, 2) * VOCABULARY);
    for (let t = 1; t < length; t++)
      ids[t] =
        rng.uniform(i, 10 + t) < 0.8
          ? (ids[t - 1] * 3 + 1) % VOCABULARY
          : Math.floor(rng.uniform(i, 50 + t) * VOCABULARY);
    const labels = Int32Array.from(ids);
    if (i % 3 === 0 && length > 2) labels[1] = -100; // some tokens are prompt
    return { ids, labels };
  });
}

export const tinyBatches = (count = 24, microBatchSize = 2, gradientAccumulationSteps = 2, packing = false) =>
  createBatches(tinyExamples(count), {
    microBatchSize,
    gradientAccumulationSteps,
    shuffle: true,
    seed: 4,
    packing,
    maxSeqLength: 16,
  });

export const tinyBatch = (count = 4, seed = 1) => collate(tinyExamples(count, seed));

/** What a batch costs without dropout. */
export const noBatch: LossBatch = {
  ids: Int32Array.of(0),
  targets: Int32Array.of(-100),
  positions: Int32Array.of(0),
  segments: Int32Array.of(0, 1),
};

/** Every number of these parameters. */
export const numbersOf = (parameters: readonly Parameter[]): Float32Array[] =>
  parameters.map(({ view }) => Float32Array.from(hostData(view) as Float32Array));

/** A parameter over numbers of its own. */
export const parameterOf = (name: string, shape: readonly number[], values: Float32Array): Parameter =>
  new Parameter(name, viewOf('f32', shape, values));
