import type { FloatDType } from '@qdylora/contract';
import { apply } from '../autograd/tape.ts';
import { differentiableResidualNorm } from '../ops/norms/residual-norm.ts';
import { differentiableRmsNorm } from '../ops/norms/rms-norm.ts';
import type { Parameter } from '../parameter.ts';
import type { FloatTensor } from '../tensor.ts';
import type { ForwardContext } from './forward-context.ts';

/**
 * Root-mean-square normalization with a learned weight, of a row or of each head in a row.
 *
 * x: [tokens, runs · hidden] → same shape; computed in f32, and f32 by default
 */
export class RmsNormLayer {
  readonly name: string;
  readonly weight: Parameter;
  readonly epsilon: number;
  readonly weightOffset: number;

  constructor(name: string, weight: Parameter, epsilon: number, weightOffset = 0) {
    this.name = name;
    this.weight = weight;
    this.epsilon = epsilon;
    this.weightOffset = weightOffset;
  }

  parameters(): Parameter[] {
    return [this.weight];
  }

  forward(ctx: ForwardContext, x: FloatTensor, outDtype?: FloatDType): FloatTensor {
    return apply(
      ctx,
      differentiableRmsNorm,
      { x, weight: this.weight as never },
      { epsilon: this.epsilon, weightOffset: this.weightOffset, outDtype },
    ).y;
  }

  /**
   * The residual sum of x and a branch, and the norm of the sum. The sum overwrites `branch`, which nothing
   * else may read.
   *
   * x, branch: [tokens, hidden] → both the same shape
   */
  forwardSum(
    ctx: ForwardContext,
    x: FloatTensor,
    branch: FloatTensor,
    outDtype?: FloatDType,
  ): { readonly sum: FloatTensor; readonly y: FloatTensor } {
    return apply(
      ctx,
      differentiableResidualNorm,
      { a: x, b: branch, weight: this.weight as never },
      { epsilon: this.epsilon, weightOffset: this.weightOffset, outDtype },
      { sum: 'b' },
    );
  }
}
