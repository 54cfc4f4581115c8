import { apply } from '../autograd/tape.ts';
import { differentiableLayerNorm } from '../ops/norms/layer-norm.ts';
import type { Parameter } from '../parameter.ts';
import type { FloatTensor } from '../tensor.ts';
import type { ForwardContext } from './forward-context.ts';

/**
 * Layer normalization with a learned weight and, in most families, a bias.  x: [tokens, hidden] → same shape
 */
export class LayerNormLayer {
  readonly name: string;
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  readonly epsilon: number;

  constructor(name: string, weight: Parameter, bias: Parameter | null, epsilon: number) {
    this.name = name;
    this.weight = weight;
    this.bias = bias;
    this.epsilon = epsilon;
  }

  parameters(): Parameter[] {
    return this.bias ? [this.weight, this.bias] : [this.weight];
  }

  forward(ctx: ForwardContext, x: FloatTensor): FloatTensor {
    return apply(
      ctx,
      differentiableLayerNorm,
      { x, weight: this.weight as never, bias: (this.bias ?? undefined) as never },
      { epsilon: this.epsilon },
    ).y;
  }
}
