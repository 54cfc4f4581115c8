import type { FloatDType } from '@qdylora/contract';
import type { FloatTensor, ForwardContext, Linear, LinearLike, Parameter } from '@qdylora/tensor';
import type { AdaptableModel } from '../adapter/adapted.ts';
import { forwardGroup } from './forward-group.ts';

/**
 * A linear layer without an adapter that shares an op with the other frozen layers that read the same input.
 */
export class GroupedLinear implements LinearLike {
  readonly base: Linear;

  constructor(base: Linear) {
    this.base = base;
  }

  get name(): string {
    return this.base.name;
  }
  get inFeatures(): number {
    return this.base.inFeatures;
  }
  get outFeatures(): number {
    return this.base.outFeatures;
  }
  parameters(): Parameter[] {
    return this.base.parameters();
  }

  forward(ctx: ForwardContext, x: FloatTensor, outDtype?: FloatDType): FloatTensor {
    return this.base.forward(ctx, x, outDtype);
  }

  forwardTogether(
    ctx: ForwardContext,
    layers: readonly LinearLike[],
    x: FloatTensor,
    outDtype?: FloatDType,
  ): FloatTensor[] | undefined {
    return forwardGroup(
      ctx,
      layers.map((layer) => ({ base: layer instanceof GroupedLinear ? layer.base : layer })),
      x,
      { outDtype },
    );
  }
}

/**
 * The same model with one op for the frozen layers that read one input (q, k, v; gate, up): x is packed once,
 * and threads synchronize once. Adapted models do this by default.
 *
 * Generation with SmolLM2-135M takes 17 % less time (2 threads; Emerald Rapids, 2026).
 */
export const groupFrozenLayers = <M extends AdaptableModel<M>>(model: M): M =>
  model.withModules((layer) => new GroupedLinear(layer));
