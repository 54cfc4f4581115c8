import { QdyloraError, runOp, type ArrayView, type Backend, type FloatView } from '@qdylora/contract';
import {
  linear,
  linearWeightGradient,
  type FloatTensor,
  type ForwardContext,
  type LinearLike,
  type Parameter,
} from '@qdylora/tensor';
import type { AdaptableModel, Adapted, RankView } from '../adapter/adapted.ts';
import type { DyLoraLinear } from '../layers/dylora-linear.ts';

/** One sum over tokens per adapted layer, by layer name: [maxRank, width], row-major. */
export type InputSums = ReadonlyMap<string, Float32Array>;

/** Sums over the inputs of the adapted layers, updated by each pass over `view`. Dispose to free them. */
export interface InputObserver<M> extends Disposable {
  /** The model at its largest rank. Its forward passes add to the sums. */
  readonly view: RankView<M>;
  /** Waits for the passes so far and reads the sums. */
  sums(): Promise<InputSums>;
}

/**
 * Observes the inputs x: [tokens, in] of the adapted layers. The sums are the moments M = Σ (A·x)(A·x)ᵀ over
 * tokens: [maxRank, maxRank]. An adapter changes the output of its layer by s·B·A·x. The size of that change
 * depends on M alone: Σ |s·B·A·x|² = s²·tr(B·M·Bᵀ).
 *
 * @param model the model that was adapted
 * @throws QdyloraError BAD_ARGUMENT unless `model` is that model itself, not one at a level, grouped or
 * adapted
 * @example
 * using observer = observeInputs(model, adapted);
 * await lossOver(observer.view, examples);
 * const moments = await observer.sums();
 */
export const observeInputs = <M extends AdaptableModel<M>>(model: M, adapted: Adapted<M>): InputObserver<M> =>
  observe(model, adapted, {
    where: 'observeInputs',
    widthOf: () => adapted.ranks.maxRank,
    add: (backend, { u, sums }) => addProduct(backend, u, u, sums),
  });

/**
 * Observes Σ (A·x)·xᵀ = A·H over tokens, with H = Σ x·xᵀ: [maxRank, in]. A step of subspace iteration, which
 * finds the directions in which the inputs vary most.
 *
 * @param model the model that was adapted
 * @throws as `observeInputs`
 */
export const observeProjections = <M extends AdaptableModel<M>>(
  model: M,
  adapted: Adapted<M>,
): InputObserver<M> =>
  observe(model, adapted, {
    where: 'observeProjections',
    widthOf: ({ inFeatures }) => inFeatures,
    add: (backend, { x, u, sums }) => addProduct(backend, u, x, sums),
  });

/** What is summed: arrays of [maxRank, width], and how a pass adds to them. */
interface Observation {
  /** Name of the function that observes, for errors. */
  readonly where: string;
  readonly widthOf: (layer: DyLoraLinear) => number;
  /** x: [tokens, in]  u = A·x: [tokens, maxRank] */
  readonly add: (
    backend: Backend,
    inputs: { readonly x: FloatView; readonly u: ArrayView<'f32'>; readonly sums: ArrayView<'f32'> },
  ) => void;
}

function observe<M extends AdaptableModel<M>>(
  model: M,
  { layers, ranks, atRank }: Adapted<M>,
  { where, widthOf, add }: Observation,
): InputObserver<M> {
  const { memory } = model.backend;
  const observed = layers.map((layer) => {
    const sums = memory.allocate('f32', [ranks.maxRank, widthOf(layer)]);
    memory.persist(sums);
    memory.fill(sums, (values) => {
      values.fill(0);
    });
    return { layer, sums };
  });
  const byBase = new Map(observed.map((entry) => [entry.layer.base, entry]));
  const release = (): void => {
    for (const { sums } of observed) memory.release(sums);
  };
  let replaced = 0;
  const observingModel = model.withModules((base) => {
    const entry = byBase.get(base);
    if (!entry) return base;
    replaced++;
    const { layer, sums } = entry;
    return observingLayer(layer, (backend, x) => {
      const weight = layer.a.view as ArrayView<'f32'>;
      const { y: u } = runOp(backend, linear, { x, weight }, { computeDtype: 'f32' });
      add(backend, { x, u: u as ArrayView<'f32'>, sums });
    });
  });
  if (replaced !== layers.length) {
    release();
    throw wrongModel(where, layers.length, replaced);
  }
  return {
    view: { model: observingModel, active: atRank(ranks.maxRank).active },
    async sums() {
      const entries: [string, Float32Array][] = [];
      for (const { layer, sums } of observed)
        entries.push([layer.name, (await memory.read(sums)) as Float32Array]);
      return new Map(entries);
    },
    [Symbol.dispose]: release,
  };
}

const wrongModel = (where: string, adapted: number, found: number): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `${adapted} layers have an adapter, but the model has ${found} of them`,
    nextStep:
      'Pass the model that was passed to attachDyLora, not that model at a level, grouped or adapted.',
  });

/** A layer that computes what `layer` does, and calls `onInput` in each forward pass. */
const observingLayer = (
  layer: DyLoraLinear,
  onInput: (backend: Backend, x: FloatView) => void,
): LinearLike => ({
  name: layer.name,
  inFeatures: layer.inFeatures,
  outFeatures: layer.outFeatures,
  parameters: (): Parameter[] => layer.parameters(),
  forward(ctx: ForwardContext, x: FloatTensor, outDtype) {
    onInput(ctx.backend, x.view);
    return layer.forward(ctx, x, outDtype);
  },
});

/** sums += leftᵀ · right.  left: [tokens, rows]  right: [tokens, width]  sums: [rows, width] */
function addProduct(
  backend: Backend,
  left: ArrayView<'f32'>,
  right: FloatView,
  sums: ArrayView<'f32'>,
): void {
  runOp(backend, linearWeightGradient, { x: right, dy: left }, { computeDtype: 'f32' }, { dWeight: sums });
}
