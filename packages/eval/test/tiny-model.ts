import { hostData, createHostBackend, createRng, type ArrayView, type Backend } from '@qdylora/contract';
import type { Example } from '@qdylora/data';
import { attachDyLora, type AdaptableModel, type Adapted, type AdapterConfig } from '@qdylora/lora-dynamic';
import {
  apply,
  constant,
  differentiableAdd,
  differentiableLinearCrossEntropy,
  EmbeddingTable,
  Linear,
  mapLinears,
  Parameter,
  parametersOf,
  type LinearLike,
} from '@qdylora/tensor';
import type { EvalModel } from '../src/index.ts';

export const VOCABULARY = 9;
const HIDDEN = 5;

interface Modules {
  readonly embedding: EmbeddingTable;
  readonly linear: LinearLike;
  readonly head: Linear;
}

export interface TinyModel extends EvalModel, AdaptableModel<TinyModel> {
  readonly modules: Modules;
  parameters(): Parameter[];
}

/**
 * embedding → x + linear(x) → head: each token's loss depends on that token alone, so a batch is the sum of
 * its examples.
 */
export function tinyModel(backend: Backend = createHostBackend({ poison: true })): TinyModel {
  const weight = (name: string, shape: readonly number[]): Parameter => {
    const rng = createRng(3).named(name);
    const view = backend.memory.allocate('f32', shape);
    backend.memory.persist(view);
    for (let i = 0; i < hostData(view).length; i++) hostData(view)[i] = rng.normal(i);
    return new Parameter(name, view);
  };
  return modelOver(backend, {
    embedding: new EmbeddingTable('embedding', weight('embedding', [VOCABULARY, HIDDEN])),
    linear: new Linear('linear', weight('linear', [HIDDEN, HIDDEN])),
    head: new Linear('head', weight('head', [VOCABULARY, HIDDEN])),
  });
}

function modelOver(backend: Backend, modules: Modules): TinyModel {
  const i32 = (values: Int32Array): ArrayView<'i32'> => {
    const view = backend.memory.allocate('i32', [values.length]);
    backend.memory.write(view, values);
    return view;
  };
  return {
    backend,
    modules,
    withModules: (replace) => modelOver(backend, { ...modules, linear: mapLinears(modules.linear, replace) }),
    parameters: () => parametersOf(modules),
    loss(ctx, { ids, targets }, { lossScale }) {
      const embedded = modules.embedding.forward(ctx, i32(ids));
      const x = apply(
        ctx,
        differentiableAdd,
        { a: embedded, b: modules.linear.forward(ctx, embedded) },
        {},
      ).y;
      const inputs = {
        x,
        weight: modules.head.weight as never,
        targets: constant(i32(targets)),
        tokenWeights: undefined,
      };
      return {
        tokenLosses: apply(ctx, differentiableLinearCrossEntropy, inputs, {
          computeDtype: ctx.computeDtype,
          lossScale,
          gradient: false,
        }).tokenLosses.view,
      };
    },
  };
}

/** The tiny model with adapters that do something at every rank. */
export function tinyAdapted(config: Partial<AdapterConfig> = {}): Adapted<TinyModel> {
  const adapted = attachDyLora(tinyModel(), {
    ranks: [1, 2, 4],
    targetModules: ['linear'],
    seed: 5,
    ...config,
  });
  const rng = createRng(9);
  for (const layer of adapted.layers)
    for (let i = 0; i < hostData(layer.b.view).length; i++) hostData(layer.b.view)[i] = 0.2 * rng.normal(i);
  return adapted;
}

/** Examples of 1 … 7 tokens, some of them prompt. */
export function tinyExamples(count: number, seed = 1): Example[] {
  const rng = createRng(seed);
  return Array.from({ length: count }, (_, i) => {
    const ids = Int32Array.from({ length: 1 + Math.floor(rng.uniform(i, 1) * 7) }, (_token, t) =>
      Math.floor(rng.uniform(i, 10 + t) * VOCABULARY),
    );
    return { ids, labels: ids.map((id, t) => (rng.uniform(i, 50 + t) < 0.2 ? -100 : id)) };
  });
}
