import type { Arrays, FloatDType, Op, PackedWeight } from '@qdylora/contract';
import { apply } from '../autograd/tape.ts';
import type { DifferentiableOp } from '../autograd/differentiable-op.ts';
import { differentiableLinear } from '../ops/products/linear.ts';
import type { Parameter } from '../parameter.ts';
import { constant, type FloatTensor, type Tensor } from '../tensor.ts';
import type { ForwardContext } from './forward-context.ts';

/** A layer's weight: dense (it can be trained), or packed and frozen. */
export type LinearWeight = Parameter | PackedWeight;

export const isPacked = (weight: LinearWeight): weight is PackedWeight => !('view' in weight);

/**
 * What a layer that stands in a model's place for a linear layer can do: a plain one, or one with an adapter
 * around it.
 */
export interface LinearLike {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** x: [tokens, in] → [tokens, out], f32 unless `outDtype` says otherwise */
  forward(ctx: ForwardContext, x: FloatTensor, outDtype?: FloatDType): FloatTensor;
  parameters(): Parameter[];
  /**
   * This layer and others in one op, where there is one for them: the results in their order, or undefined.
   * All read the same x; `this` is one of `layers`.
   */
  forwardTogether?(
    ctx: ForwardContext,
    layers: readonly LinearLike[],
    x: FloatTensor,
    outDtype?: FloatDType,
  ): FloatTensor[] | undefined;
}

/** y = x · Wᵀ + bias, with a dense weight (trainable) or a packed one (frozen). */
export class Linear implements LinearLike {
  readonly name: string;
  readonly weight: LinearWeight;
  readonly bias: Parameter | null;

  constructor(name: string, weight: LinearWeight, bias: Parameter | null = null) {
    this.name = name;
    this.weight = weight;
    this.bias = bias;
  }

  private get shape(): readonly number[] {
    return isPacked(this.weight) ? this.weight.shape : this.weight.view.shape;
  }
  get outFeatures(): number {
    return this.shape[0];
  }
  get inFeatures(): number {
    return this.shape[1];
  }

  parameters(): Parameter[] {
    return [...(isPacked(this.weight) ? [] : [this.weight]), ...(this.bias ? [this.bias] : [])];
  }

  forward(ctx: ForwardContext, x: FloatTensor, outDtype?: FloatDType): FloatTensor {
    const { computeDtype } = ctx;
    if (!isPacked(this.weight)) {
      return apply(
        ctx,
        differentiableLinear,
        { x, weight: this.weight as never, bias: (this.bias ?? undefined) as never },
        { computeDtype, outDtype },
      ).y;
    }
    const inputs = { x, bias: this.bias ?? undefined, ...packedOperands(this.weight) };
    return apply(
      ctx,
      packedRule(this.weight),
      inputs as never,
      { computeDtype, outDtype, ...this.weight.attributes } as never,
    ).y as FloatTensor;
  }
}

const operandsOf = new WeakMap<PackedWeight, Readonly<Record<string, Tensor>>>();

/** A packed weight's arrays, those that there are, as constants: the same in every pass. */
export function packedOperands(weight: PackedWeight): Readonly<Record<string, Tensor>> {
  const cached = operandsOf.get(weight);
  if (cached) return cached;
  const operands = Object.fromEntries(
    Object.entries(weight.operands).flatMap(([name, view]) => (view ? [[name, constant(view)]] : [])),
  );
  operandsOf.set(weight, operands);
  return operands;
}

const rules = new WeakMap<Op, DifferentiableOp<Op, Arrays, Arrays, unknown>>();

/** The gradient of a packed product: through x only, since the weight is frozen. */
function packedRule({
  multiply,
  multiplyInputGradient,
}: PackedWeight): DifferentiableOp<Op, Arrays, Arrays, unknown> {
  const cached = rules.get(multiply);
  if (cached) return cached;
  const rule: DifferentiableOp<Op, Arrays, Arrays, unknown> = {
    op: multiply,
    backward({ run, inputs, gradients, attributes, wants, pending }) {
      if (!wants('x')) return {};
      const { x, bias: _, ...weight } = inputs;
      const dx = pending('x');
      return {
        x: run(
          multiplyInputGradient,
          { dy: gradients.y!, ...weight },
          { accumulate: dx !== undefined, ...(attributes as object), outDtype: x!.dtype },
          { dx },
        ).dx,
      };
    },
  };
  rules.set(multiply, rule);
  return rule;
}

/**
 * Layers that read one input (q, k, v; gate, up): in one op where a layer knows one for all of them, else one
 * after the other. x: [tokens, in] → [tokens, outᵢ] each, f32 unless `outDtype` says otherwise
 */
export function projectTogether(
  ctx: ForwardContext,
  layers: readonly LinearLike[],
  x: FloatTensor,
  outDtype?: FloatDType,
): FloatTensor[] {
  for (const layer of layers) {
    const results = layer.forwardTogether?.(ctx, layers, x, outDtype);
    if (results) return results;
  }
  return layers.map((layer) => layer.forward(ctx, x, outDtype));
}
