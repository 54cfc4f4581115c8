import {
  QdyloraError,
  type Arrays,
  type ArrayView,
  type FloatDType,
  type FloatView,
  type Op,
  type PackedWeight,
} from '@qdylora/contract';
import { apply } from '../autograd/tape.ts';
import type { DifferentiableOp } from '../autograd/differentiable-op.ts';
import { differentiableAdd } from '../ops/elements/add.ts';
import { differentiableLinear, linearWeightGradient, type ComputeDtype } from '../ops/products/linear.ts';
import type { Parameter } from '../parameter.ts';
import { constant, type FloatTensor, type Tensor } from '../tensor.ts';
import type { ForwardContext } from './forward-context.ts';

/** A weight of a linear layer: dense (can be trained), or packed (frozen). */
export type LinearWeight = Parameter | PackedWeight;

/** True for a packed weight, which has codes in place of a view and is frozen. */
export const isPacked = (weight: LinearWeight): weight is PackedWeight => !('view' in weight);

/** A linear layer of a model, plain or with an adapter around it. */
export interface LinearLike {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** x: [tokens, in] → [tokens, out]; f32 by default */
  forward(ctx: ForwardContext, x: FloatTensor, outDtype?: FloatDType): FloatTensor;
  parameters(): Parameter[];
  /**
   * The results of `layers`, which all read x, computed in one op; undefined where there is no such op.
   * `this` is one of `layers`.
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
  /** The product with the residual of a packed weight, which is added; null where it has none. */
  readonly residual: Linear | null;

  constructor(name: string, weight: LinearWeight, bias: Parameter | null = null) {
    this.name = name;
    this.weight = weight;
    this.bias = bias;
    this.residual =
      isPacked(weight) && weight.residual ? new Linear(`${name}.residual`, weight.residual) : null;
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
    const { y } = apply(
      ctx,
      packedRule(this.weight),
      inputs as never,
      { computeDtype, outDtype: this.residual ? 'f32' : outDtype, ...this.weight.attributes } as never,
    );
    return this.residual
      ? plusResidual(ctx, y as FloatTensor, this.residual.forward(ctx, x))
      : (y as FloatTensor);
  }

  /**
   * The same layer at a quantization level of its weight: `bits` a weight. A dense layer has one level, so it
   * is the layer itself.
   *
   * @throws QdyloraError UNSUPPORTED for a level that the packed weight does not have
   */
  atLevel(bits: number): Linear {
    if (!isPacked(this.weight)) return this;
    const weight = this.weight.otherLevels?.get(bits);
    if (weight) return new Linear(this.name, weight, this.bias);
    throw new QdyloraError('UNSUPPORTED', {
      where: this.name,
      problem: `The weight has no quantization level of ${bits} bits`,
      nextStep: `Build the model with it: quantization: { kind: 'nf4', levels: [${bits}, 4] }.`,
      details: { level: bits },
    });
  }
}

/**
 * y + residual, in place of y. Both are float32: two results in bfloat16 would round the sum twice.
 *
 * y, residual: [tokens, out]
 */
export const plusResidual = (ctx: ForwardContext, y: FloatTensor, residual: FloatTensor): FloatTensor =>
  apply(ctx, differentiableAdd, { a: y, b: residual }, {}, { y: 'a' }).y;

const operandsOf = new WeakMap<PackedWeight, Readonly<Record<string, Tensor>>>();

/** The arrays of a packed weight as constants. They are made once, and are the same in every pass. */
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

/** The gradient of a product with a packed weight, which is frozen: it flows through x, and into the bias. */
function packedRule({
  multiply,
  multiplyInputGradient,
}: PackedWeight): DifferentiableOp<Op, Arrays, Arrays, unknown> {
  const cached = rules.get(multiply);
  if (cached) return cached;
  const rule: DifferentiableOp<Op, Arrays, Arrays, unknown> = {
    op: multiply,
    backward({ run, inputs, gradients, attributes, wants, into, pending }) {
      const { x, bias: _, ...weight } = inputs;
      const dBias = into('bias') as ArrayView<'f32'> | undefined;
      if (dBias) {
        const { computeDtype } = attributes as { readonly computeDtype: ComputeDtype };
        const operands = { x: x as FloatView, dy: gradients.y as FloatView };
        run(linearWeightGradient, operands, { computeDtype }, { dBias });
      }
      if (!wants('x')) return {};
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
 * Runs layers that read one input (q, k, v; gate, up): in one op where there is one, else one after another.
 *
 * x: [tokens, in] → [tokens, outᵢ] each; f32 by default
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
