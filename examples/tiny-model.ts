// The smallest model with a loss, and rows that it can learn: for `train`, `trainStep` and `sweepRanks`.
import { createHostBackend, createRng, type Backend } from '@qdylora/contract';
import type { Example } from '@qdylora/data';
import type { AdaptableModel } from '@qdylora/lora-dynamic';
import {
  apply,
  differentiableActivation,
  EmbeddingTable,
  headLoss,
  Linear,
  mapLinears,
  Parameter,
  parametersOf,
  type LinearLike,
} from '@qdylora/tensor';
import type { LossModel } from '@qdylora/trainer';

const VOCABULARY = 11;
const HIDDEN = 8;

interface Modules {
  readonly embedding: EmbeddingTable;
  readonly linear: LinearLike;
}

/** `LossModel` is what training needs, `AdaptableModel` what `attachDyLora` needs. */
export interface TinyModel extends LossModel, AdaptableModel<TinyModel> {
  readonly modules: Modules;
}

/** embedding → linear → gelu → head and loss, with random weights. */
export function tinyModel(backend: Backend = createHostBackend()): TinyModel {
  const weight = (name: string, shape: readonly number[]): Parameter => {
    const rng = createRng(3).named(name);
    const view = backend.memory.allocate('f32', shape);
    backend.memory.persist(view);
    backend.memory.fill(view, (values) => {
      for (let i = 0; i < values.length; i++) values[i] = 0.4 * rng.normal(i);
    });
    return new Parameter(name, view);
  };
  const modules = {
    embedding: new EmbeddingTable('embedding', weight('embedding', [VOCABULARY, HIDDEN])),
    linear: new Linear('linear', weight('linear', [HIDDEN, HIDDEN])),
  };
  return modelOver(backend, modules, weight('head', [VOCABULARY, HIDDEN]));
}

function modelOver(backend: Backend, modules: Modules, head: Parameter): TinyModel {
  const onBackend = (values: Int32Array) => {
    const view = backend.memory.allocate('i32', [values.length]);
    backend.memory.write(view, values);
    return view;
  };
  return {
    backend,
    modules,
    withModules: (replace) => modelOver(backend, mapLinears(modules, replace), head),
    parameters: () => [...parametersOf(modules), head],
    // batch.ids, batch.targets: [tokens]; a target of -100 is not counted
    loss(ctx, batch, { lossScale }) {
      const embedded = modules.embedding.forward(ctx, onBackend(batch.ids)); // [tokens, hidden]
      const hidden = modules.linear.forward(ctx, embedded);
      const { y } = apply(ctx, differentiableActivation, { x: hidden }, { kind: 'gelu' });
      return headLoss(ctx, { x: y, weight: head, targets: onBackend(batch.targets) }, { lossScale });
    },
  };
}

/** Rows in which the next token follows from the last one. */
export function tinyExamples(count: number): Example[] {
  return Array.from({ length: count }, (_, row) => {
    const ids = new Int32Array(3 + (row % 4));
    ids[0] = row % VOCABULARY;
    for (let t = 1; t < ids.length; t++) ids[t] = (ids[t - 1] * 3 + 1) % VOCABULARY;
    return { ids, labels: ids.slice() };
  });
}
