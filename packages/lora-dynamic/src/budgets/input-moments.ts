import { runOp, type ArrayView, type Backend } from '@qdylora/contract';
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

/** Sums over tokens of u·uᵀ with u = A·x, by the name of the layer: [maxRank, maxRank] each. */
export type InputMoments = ReadonlyMap<string, Float32Array>;

/** Second moments of what the adapters of a model read, while passes run over `view`. */
export interface MomentObserver<M> extends Disposable {
  /** The model at its largest rank. Its forward passes add to the moments. */
  readonly view: RankView<M>;
  /** Waits for the passes so far and reads the sums. */
  moments(): Promise<InputMoments>;
}

/**
 * Observes the inputs x: [tokens, in] of the adapted layers: the moments M = Σ (A·x)(A·x)ᵀ over tokens. An
 * adapter changes the output of its layer by s·B·A·x. The size of that change depends on M alone:
 * Σ |s·B·A·x|² = s²·tr(B·M·Bᵀ).
 *
 * @param model the model that was adapted
 * @example
 * using observer = observeInputs(model, adapted);
 * await lossOver(observer.view, examples);
 * const moments = await observer.moments();
 */
export function observeInputs<M extends AdaptableModel<M>>(
  model: M,
  { layers, ranks, atRank }: Adapted<M>,
): MomentObserver<M> {
  const { memory } = model.backend;
  const byBase = new Map(layers.map((layer) => [layer.base, layer]));
  const observed = layers.map((layer) => {
    const sums = memory.allocate('f32', [ranks.maxRank, ranks.maxRank]);
    memory.persist(sums);
    memory.fill(sums, (values) => {
      values.fill(0);
    });
    return { layer, sums };
  });
  const sumsOf = new Map(observed.map(({ layer, sums }) => [layer, sums]));
  const observingModel = model.withModules((base) => {
    const layer = byBase.get(base);
    return layer ? observing(layer, sumsOf.get(layer)!) : base;
  });
  return {
    view: { model: observingModel, active: atRank(ranks.maxRank).active },
    async moments() {
      const entries: [string, Float32Array][] = [];
      for (const { layer, sums } of observed)
        entries.push([layer.name, (await memory.read(sums)) as Float32Array]);
      return new Map(entries);
    },
    [Symbol.dispose]() {
      for (const { sums } of observed) memory.release(sums);
    },
  };
}

/** A layer that computes what `layer` does, and adds u·uᵀ to `sums` in each forward pass. */
function observing(layer: DyLoraLinear, sums: ArrayView<'f32'>): LinearLike {
  return {
    name: layer.name,
    inFeatures: layer.inFeatures,
    outFeatures: layer.outFeatures,
    parameters: (): Parameter[] => layer.parameters(),
    forward(ctx: ForwardContext, x: FloatTensor, outDtype) {
      addMoments(ctx.backend, x.view, layer, sums);
      return layer.forward(ctx, x, outDtype);
    },
  };
}

/** sums += Σ over tokens of (A·x)(A·x)ᵀ.  x: [tokens, in] */
function addMoments(
  backend: Backend,
  x: ArrayView<'f32' | 'bf16'>,
  { a }: DyLoraLinear,
  sums: ArrayView<'f32'>,
): void {
  const { y: u } = runOp(backend, linear, { x, weight: a.view as ArrayView<'f32'> }, { computeDtype: 'f32' });
  runOp(backend, linearWeightGradient, { x: u, dy: u }, { computeDtype: 'f32' }, { dWeight: sums });
}
