import { rowsOf, type ArrayView, type Rng } from '@qdylora/contract';
import { apply, constant, differentiableDropout, isPacked, Parameter, type DifferentiableOp, type ForwardContext, type Linear, type LinearLike, type Tensor } from '@qdylora/tensor';
import { adaptedLinear, adaptedLinearBackward, type BaseOperands } from './ops/adapted-linear.ts';
import type { ResolvedAdapterConfig } from './adapter-config.ts';
import { initializeAdapter } from './initialize.ts';
import { scaleAt } from './scaling.ts';

type F32Tensor = Tensor<ArrayView<'f32'>>;

/** A frozen linear layer with a nested adapter around it. The rank of a pass stands in the forward context; the layer itself has none. */
export class DyLoraLinear implements LinearLike {
  readonly name: string;
  readonly base: Linear;
  /** [maxRank, in]: row k belongs to every rank > k. */
  readonly a: Parameter;
  /** [maxRank, out]: PEFT's lora_B transposed, so that a prefix of ranks is contiguous. */
  readonly b: Parameter;
  private readonly config: ResolvedAdapterConfig;
  private readonly dropoutName: string;

  constructor(base: Linear, a: ArrayView<'f32'>, b: ArrayView<'f32'>, config: ResolvedAdapterConfig, rng: Rng) {
    this.name = base.name;
    this.base = base;
    this.a = new Parameter(`${base.name}.lora_A`, a);
    this.b = new Parameter(`${base.name}.lora_B`, b);
    this.config = config;
    this.dropoutName = `dropout.${base.name}`;
    initializeAdapter(a, b, rng.named(`init.${base.name}`));
  }

  get inFeatures(): number { return this.base.inFeatures; }
  get outFeatures(): number { return this.base.outFeatures; }
  parameters(): Parameter[] { return [...this.base.parameters(), this.a, this.b]; }

  scaleAt(rank: number): number { return scaleAt(this.config.scaling, this.config.alpha, rank, this.config.ranks.maxRank); }

  forward(ctx: ForwardContext, x: F32Tensor): F32Tensor {
    if (!ctx.active) return this.base.forward(ctx, x);
    const { rank, trainFrom } = ctx.active, { weight, bias } = this.base;
    const operands: BaseOperands = isPacked(weight) ? weight.operands as BaseOperands : { weight: weight.view as ArrayView<'f32'> };
    const packed = isPacked(weight) ? weight.attributes as { blockSize: number; nestedOffset: number; tiled?: boolean } : { blockSize: 0, nestedOffset: 0 };
    const inputs: Record<string, Tensor | undefined> = {
      x, xAdapter: this.droppedOut(ctx, x), bias: bias ? constant(bias.view) : undefined,
      ...Object.fromEntries(Object.entries(operands).map(([name, view]) => [name, view && constant(view)])),
      a: prefixOf(this.a, rank, trainFrom), b: prefixOf(this.b, rank, trainFrom),
    };
    const attributes = {
      blockSize: packed.blockSize, nestedOffset: packed.nestedOffset, tiled: packed.tiled, rows: this.outFeatures, cols: this.inFeatures,
      computeDtype: ctx.computeDtype, scale: this.scaleAt(rank),
    };
    return apply(ctx, ruleFrom(trainFrom), inputs as never, attributes).y;
  }

  private droppedOut(ctx: ForwardContext, x: F32Tensor): F32Tensor | undefined {
    const { dropout } = this.config;
    if (!ctx.dropout || dropout === 0) return undefined;
    const { rng, step } = ctx.dropout;
    return apply(ctx, differentiableDropout, { x }, { probability: dropout, key: rng.named(this.dropoutName).key, counter: step }).y;
  }
}

/** Rows 0 … rank−1 of a parameter; of its gradient the rows trainFrom … rank−1. Nothing past the rank can be reached through it. */
function prefixOf(parameter: Parameter, rank: number, trainFrom: number): Parameter {
  const prefix = new Parameter(parameter.name, rowsOf(parameter.view, 0, rank));
  prefix.gradient = parameter.gradient && rowsOf(parameter.gradient, trainFrom, rank);
  return prefix;
}

/** The backward of an adapted layer that trains its rows from `trainFrom` on. */
const ruleFrom = (trainFrom: number): DifferentiableOp<typeof adaptedLinear> => ({
  op: adaptedLinear,
  usesOutputs: ['u'],
  backward({ run, inputs, outputs, gradients, attributes, wants, into, pending }) {
    const { bias: _, ...operands } = inputs, dx = pending('x');
    const result = run(adaptedLinearBackward, { ...operands, dy: gradients.y, u: outputs.u },
      { ...attributes, trainFrom, accumulate: dx !== undefined, wantsDx: wants('x') }, { dx, da: into('a'), db: into('b') });
    return { x: result.dx, xAdapter: result.dxAdapter };
  },
});
