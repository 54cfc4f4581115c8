import { rowsOf, type ArrayView, type FloatDType } from '@qdylora/contract';
import {
  apply,
  constant,
  differentiableDropout,
  Parameter,
  plusResidual,
  type ActiveRank,
  type DifferentiableOp,
  type FloatTensor,
  type ForwardContext,
  type Linear,
  type LinearLike,
  type Tensor,
} from '@qdylora/tensor';
import { adaptedLinear, adaptedLinearBackward } from '../ops/adapted-linear.ts';
import type { ResolvedAdapterConfig } from '../adapter/adapter-config.ts';
import { forwardGroup, type GroupMember } from './forward-group.ts';
import { frozen } from './frozen-layer.ts';
import type { RankPart } from '../ops/rank-parts.ts';
import { scaleAt } from '../ranks/scaling.ts';

/** A frozen linear layer with a nested adapter. The rank is in the forward context; the layer has no rank. */
export class DyLoraLinear implements LinearLike {
  readonly name: string;
  readonly base: Linear;
  /** [maxRank, in]: row k belongs to every rank > k. */
  readonly a: Parameter;
  /** [maxRank, out]: PEFT's lora_B transposed, so that a prefix of ranks is contiguous. */
  readonly b: Parameter;
  private readonly config: ResolvedAdapterConfig;
  private readonly dropoutName: string;
  private readonly prefixesByKey = new Map<number, Prefixes>();

  constructor(base: Linear, a: Parameter, b: Parameter, config: ResolvedAdapterConfig) {
    this.name = base.name;
    this.base = base;
    this.a = a;
    this.b = b;
    this.config = config;
    this.dropoutName = `dropout.${base.name}`;
  }

  get inFeatures(): number {
    return this.base.inFeatures;
  }
  get outFeatures(): number {
    return this.base.outFeatures;
  }
  parameters(): Parameter[] {
    return [...this.base.parameters(), this.a, this.b];
  }

  /** The same adapter around its layer at a quantization level. @throws as `Linear.atLevel` */
  atLevel(bits: number): DyLoraLinear {
    return new DyLoraLinear(this.base.atLevel(bits), this.a, this.b, this.config);
  }

  scaleAt(rank: number): number {
    return scaleAt(this.config.scaling, this.config.alpha, rank, this.config.ranks.maxRank);
  }

  forward(ctx: ForwardContext, x: FloatTensor, outDtype?: FloatDType): FloatTensor {
    if (!ctx.active) return this.base.forward(ctx, x, outDtype);
    const { rank, trainFrom } = ctx.active;
    const { attributes } = frozen(this.base);
    const { residual } = this.base;
    const inputs = { ...this.prefixes(rank, trainFrom).operands, x, xAdapter: this.droppedOut(ctx, x) };
    const { y } = apply(ctx, ruleFrom(trainFrom), inputs as never, {
      cols: this.inFeatures,
      computeDtype: ctx.computeDtype,
      scale: this.opScale(ctx.active),
      parts: this.partsOf(ctx.active),
      outDtype: residual ? 'f32' : outDtype,
      ...attributes,
    });
    return residual ? plusResidual(ctx, y, residual.forward(ctx, x)) : y;
  }

  /**
   * One op for all layers. Returns undefined if there are too many layers, a layer is not frozen, or an
   * adapter needs its own dropout mask.
   */
  forwardTogether(
    ctx: ForwardContext,
    layers: readonly LinearLike[],
    x: FloatTensor,
    outDtype?: FloatDType,
  ): FloatTensor[] | undefined {
    const { active } = ctx;
    if (
      active &&
      ctx.dropout &&
      layers.some((layer) => layer instanceof DyLoraLinear && layer.config.dropout > 0)
    )
      return undefined;
    const members = layers.map((layer) =>
      layer instanceof DyLoraLinear
        ? { base: layer.base, adapter: active ? layer.adapterAt(active) : undefined }
        : { base: layer },
    );
    return forwardGroup(ctx, members, x, {
      outDtype,
      trainFrom: active?.trainFrom,
      parts: this.partsOf(active),
    });
  }

  private adapterAt(active: ActiveRank): GroupMember['adapter'] {
    const { a, b } = this.prefixes(active.rank, active.trainFrom);
    return { a, b, scale: this.opScale(active) };
  }

  /** The factor on B·A of the whole pass: 1 if there are parts, because their factors contain the scale. */
  private opScale({ rank, parts }: ActiveRank): number {
    return parts ? 1 : this.scaleAt(rank);
  }

  /**
   * The factor of a part is its scale, so that its rows have the bits of a pass at that rank alone. All
   * adapters of a model have the same scaling, so the parts of one layer hold for its whole group.
   */
  private partsOf(active: ActiveRank | null): RankPart[] | undefined {
    return active?.parts?.map((part) => ({
      ...part,
      factor: part.rank === 0 ? 0 : this.scaleAt(part.rank),
    }));
  }

  /** Cached for each rank and `trainFrom`, as long as the gradient arrays are the same. */
  private prefixes(rank: number, trainFrom: number): Prefixes {
    const key = rank * (this.config.ranks.maxRank + 1) + trainFrom;
    const cached = this.prefixesByKey.get(key);
    if (cached && cached.ofA === this.a.gradient && cached.ofB === this.b.gradient) return cached;
    const a = prefixOf(this.a, rank, trainFrom);
    const b = prefixOf(this.b, rank, trainFrom);
    const prefixes: Prefixes = {
      a,
      b,
      operands: {
        x: undefined,
        xAdapter: undefined,
        bias: undefined,
        ...frozen(this.base).operands,
        a,
        b,
        dy: undefined,
        u: undefined,
      },
      ofA: this.a.gradient,
      ofB: this.b.gradient,
    };
    this.prefixesByKey.set(key, prefixes);
    return prefixes;
  }

  private droppedOut(ctx: ForwardContext, x: FloatTensor): FloatTensor | undefined {
    const { dropout } = this.config;
    if (!ctx.dropout || dropout === 0) return undefined;
    const { rng, counter } = ctx.dropout;
    return apply(
      ctx,
      differentiableDropout,
      { x, counter: constant(counter) },
      { probability: dropout, key: rng.named(this.dropoutName).key },
    ).y;
  }
}

/**
 * The adapter's rows at a rank, and all operands of the op except x. The names that backward adds are already
 * present. `ofA`, `ofB`: the gradients whose rows they contain.
 */
interface Prefixes {
  readonly a: Parameter;
  readonly b: Parameter;
  readonly operands: Readonly<Record<string, Tensor | undefined>>;
  readonly ofA: ArrayView<'f32'> | null;
  readonly ofB: ArrayView<'f32'> | null;
}

/**
 * Rows 0 … rank−1 of a parameter, and rows trainFrom … rank−1 of its gradient. Rows beyond the rank cannot be
 * reached.
 */
function prefixOf(parameter: Parameter, rank: number, trainFrom: number): Parameter {
  const prefix = new Parameter(parameter.name, rowsOf(parameter.view, 0, rank));
  prefix.gradient = parameter.gradient && rowsOf(parameter.gradient, trainFrom, rank);
  return prefix;
}

/** The backward rule of an adapted layer that trains its rows from `trainFrom` on. */
const ruleFrom = (trainFrom: number): DifferentiableOp<typeof adaptedLinear> => ({
  op: adaptedLinear,
  usesOutputs: ['u'],
  withoutResult: (attributes) => ({ wantsY: false, ...attributes }),
  backward({ run, inputs, outputs, gradients, attributes, wants, into, pending, take }) {
    const dx = pending('x');
    const call = { ...inputs, bias: undefined, dy: gradients.y, u: outputs.u };
    const shared = { trainFrom, accumulate: dx !== undefined, dxDtype: inputs.x.dtype, ...attributes };
    const parameterGradients = { da: into('a'), db: into('b') };
    const wantsDx = wants('x');
    const reusedX = wantsDx && !dx && !inputs.xAdapter ? take('x') : undefined;
    if (reusedX) {
      // Compute the adapter's gradients first. Nothing reads x after that, so dx can overwrite it.
      run(adaptedLinearBackward, call, { wantsDx: false, ...shared }, parameterGradients);
      return {
        x: run(adaptedLinearBackward, { ...call, x: undefined }, { wantsDx, ...shared }, { dx: reusedX }).dx,
      };
    }
    const result = run(adaptedLinearBackward, call, { wantsDx, ...shared }, { dx, ...parameterGradients });
    return { x: result.dx, xAdapter: result.dxAdapter };
  },
});
