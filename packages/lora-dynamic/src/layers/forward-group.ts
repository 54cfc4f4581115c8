import type { Arrays, ArrayView, FloatDType } from '@qdylora/contract';
import {
  apply,
  isPacked,
  Linear,
  plusResidual,
  type DifferentiableOp,
  type FloatTensor,
  type ForwardContext,
  type LinearLike,
  type Parameter,
  type Tensor,
} from '@qdylora/tensor';
import { frozen } from './frozen-layer.ts';
import {
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
  GROUP_LAYERS,
  GROUP_NAMES,
  layerOperands,
  withLayerNumber,
  type GroupLayer,
} from '../ops/adapted-linear-group.ts';
import type { RankPart } from '../ops/rank-parts.ts';

/** A frozen layer of a group, with or without an adapter at the rank of the pass. */
export interface GroupMember {
  readonly base: LinearLike;
  readonly adapter?: { readonly a: Parameter; readonly b: Parameter; readonly scale: number };
}

/**
 * `trainFrom`: first adapter row that gets a gradient, default 0. `parts`: token ranges at different ranks.
 */
export interface GroupPass {
  readonly outDtype?: FloatDType;
  readonly trainFrom?: number;
  readonly parts?: RankPart[];
}

/**
 * The results of layers that read the same x, computed in one op; undefined if there are too many layers, or
 * one is not frozen.
 *
 * x: [tokens, in] → [tokens, outᵢ] each
 */
export function forwardGroup(
  ctx: ForwardContext,
  members: readonly GroupMember[],
  x: FloatTensor,
  { outDtype, trainFrom = 0, parts }: GroupPass,
): FloatTensor[] | undefined {
  if (members.length > GROUP_LAYERS || !members.every(({ base }) => isFrozen(base))) return undefined;
  const { operands, layers } = groupOf(members);
  const residuals = members.flatMap(({ base }) => (base as Linear).residual ?? []);
  const inputs = { ...operands, x };
  const results = apply(ctx, groupRuleFrom(trainFrom), inputs as never, {
    layers,
    cols: members[0].base.inFeatures,
    computeDtype: ctx.computeDtype,
    parts,
    outDtype: residuals.length > 0 ? 'f32' : outDtype,
  });
  const sums = members.map((_, i) => results[GROUP_NAMES[i].y] as FloatTensor);
  return residuals.length > 0 ? plusResiduals(ctx, members, sums, x) : sums;
}

/** The results of a group; for each layer with a residual, the residual's product is added. */
function plusResiduals(
  ctx: ForwardContext,
  members: readonly GroupMember[],
  results: readonly FloatTensor[],
  x: FloatTensor,
): FloatTensor[] {
  const residuals = members.map(({ base }) => (base as Linear).residual);
  const present = residuals.filter((residual) => residual !== null);
  const products = forwardGroup(
    ctx,
    present.map((base) => ({ base })),
    x,
    {},
  )!;
  return results.map((result, i) => {
    const residual = residuals[i];
    return residual ? plusResidual(ctx, result, products[present.indexOf(residual)]) : result;
  });
}

const isFrozen = (base: LinearLike): boolean =>
  base instanceof Linear &&
  (isPacked(base.weight) || !base.weight.needsGradient) &&
  !base.bias?.needsGradient;

/**
 * The operands of a group, which do not depend on the pass. The names that backward adds are already present:
 * V8 makes a hash table of an object that gets many names one by one.
 */
interface Group {
  readonly members: readonly GroupMember[];
  readonly operands: Readonly<Record<string, Tensor | undefined>>;
  readonly layers: readonly GroupLayer[];
}

/** By the prefix of A of the first layer, or by the layer itself if it has no adapter. */
const groups = new WeakMap<object, Group>();

function groupOf(members: readonly GroupMember[]): Group {
  const key = members[0].adapter?.a ?? members[0].base;
  const cached = groups.get(key);
  if (
    cached?.members.length === members.length &&
    cached.members.every((member, i) => isSame(member, members[i]))
  )
    return cached;
  const frozenMembers = members.map(({ base }) => frozen(base as Linear));
  const operands = members.map(({ adapter }, i) =>
    withLayerNumber<Tensor | undefined>(
      {
        bias: undefined,
        ...frozenMembers[i].operands,
        a: adapter?.a,
        b: adapter?.b,
        dy: undefined,
        u: undefined,
      },
      i,
    ),
  );
  const group: Group = {
    members,
    // not `Object.assign`, which makes a hash table of so many names
    operands: operands.reduce((all, ofLayer) => ({ ...all, ...ofLayer }), { x: undefined }),
    layers: frozenMembers.map(({ attributes }, i) => ({
      scale: members[i].adapter?.scale ?? 1,
      ...attributes,
    })),
  };
  groups.set(key, group);
  return group;
}

const isSame = (one: GroupMember, other: GroupMember): boolean =>
  one.base === other.base &&
  one.adapter?.a === other.adapter?.a &&
  one.adapter?.b === other.adapter?.b &&
  one.adapter?.scale === other.adapter?.scale;

/** Outputs that backward reads. */
const U_NAMES = GROUP_NAMES.map(({ u }) => u);

/** The backward rule of a group that trains the rows of its adapters from `trainFrom` on. */
const groupRuleFrom = (trainFrom: number): DifferentiableOp<typeof adaptedLinearGroup> => ({
  op: adaptedLinearGroup,
  usesOutputs: U_NAMES,
  backward({ run, inputs, outputs, gradients, attributes, wants, into, pending }) {
    const dx = pending('x');
    const read = attributes.layers.flatMap((_, i) => (gradients[GROUP_NAMES[i].y] ? [i] : []));
    const operands: Record<string, ArrayView | undefined> = layersOf(inputs, read, attributes.layers.length);
    const suppliedOutputs: Record<string, ArrayView | undefined> = { dx };
    read.forEach((i, at) => {
      const { y, u, a, b } = GROUP_NAMES[i];
      const names = GROUP_NAMES[at];
      operands[names.bias] = undefined;
      operands[names.dy] = gradients[y];
      operands[names.u] = outputs[u];
      suppliedOutputs[names.da] = into(a);
      suppliedOutputs[names.db] = into(b);
    });
    const result = run(
      adaptedLinearGroupBackward,
      operands,
      {
        trainFrom,
        accumulate: dx !== undefined,
        wantsDx: wants('x'),
        ...attributes,
        layers: read.map((i) => attributes.layers[i]),
      },
      suppliedOutputs,
    );
    return { x: result.dx };
  },
});

/** x and the arrays of the layers `read`, renumbered from 0. Usually these are all layers. */
const layersOf = (
  inputs: Arrays,
  read: readonly number[],
  count: number,
): Record<string, ArrayView | undefined> =>
  read.length === count
    ? { ...inputs }
    : Object.assign({ x: inputs.x }, ...read.map((i, at) => withLayerNumber(layerOperands(inputs, i), at)));
