import type { ArrayView, FloatDType } from '@qdylora/contract';
import { apply, Linear, type DifferentiableOp, type FloatTensor, type ForwardContext, type LinearLike, type Parameter, type Tensor } from '@qdylora/tensor';
import { frozen } from './frozen-layer.ts';
import { adaptedLinearGroup, adaptedLinearGroupBackward, addNumbered, GROUP_LAYERS, GROUP_NAMES, layerOperands } from './ops/adapted-linear-group.ts';
import type { RankPart } from './ops/rank-parts.ts';

/** A layer of a group: a frozen one, with an adapter at the rank of the pass or without. */
export interface GroupMember { readonly base: LinearLike; readonly adapter?: { readonly a: Parameter; readonly b: Parameter; readonly scale: number } }

/** `trainFrom`: the first row of the adapters that gets a gradient. */
export interface GroupPass { readonly outDtype?: FloatDType; readonly trainFrom?: number; readonly parts?: RankPart[] }

/** The results of layers that read one x, made in one op; undefined where they are too many, or one of them is not frozen. x: [tokens, in] → [tokens, outᵢ] each */
export function forwardGroup(ctx: ForwardContext, members: readonly GroupMember[], x: FloatTensor, { outDtype, trainFrom = 0, parts }: GroupPass): FloatTensor[] | undefined {
  if (members.length > GROUP_LAYERS || !members.every(({ base }) => base instanceof Linear && base.parameters().every(({ needsGradient }) => !needsGradient))) return undefined;
  const inputs: Record<string, Tensor> = { x };
  const layers = members.map(({ base, adapter }, i) => {
    const { operands, attributes } = frozen(base as Linear);
    addNumbered(inputs, operands, i);
    if (adapter) addNumbered(inputs, { a: adapter.a, b: adapter.b }, i);
    return { scale: adapter?.scale ?? 1, ...attributes };
  });
  const results = apply(ctx, groupRuleFrom(trainFrom), inputs as never, { layers, cols: members[0]!.base.inFeatures, computeDtype: ctx.computeDtype, parts, outDtype });
  return members.map((_, i) => results[GROUP_NAMES[i]!.y] as FloatTensor);
}

/** The backward of a group that trains the rows of its adapters from `trainFrom` on. */
const groupRuleFrom = (trainFrom: number): DifferentiableOp<typeof adaptedLinearGroup> => ({
  op: adaptedLinearGroup,
  usesOutputs: GROUP_NAMES.map(({ u }) => u),
  backward({ run, inputs, outputs, gradients, attributes, wants, into, pending }) {
    const dx = pending('x'), layers = attributes.layers.map((layer, i) => ({ layer, i })).filter(({ i }) => gradients[GROUP_NAMES[i]!.y]);
    const operands: Record<string, ArrayView> = { x: inputs.x! }, given: Record<string, ArrayView> = dx ? { dx } : {};
    layers.forEach(({ i }, at) => {
      const { bias: _, ...own } = layerOperands(inputs, i), { y, u, a, b } = GROUP_NAMES[i]!;
      addNumbered(operands, own, at);
      addNumbered(operands, { dy: gradients[y], u: outputs[u] }, at);
      addNumbered(given, { da: into(a), db: into(b) }, at);
    });
    const result = run(adaptedLinearGroupBackward, operands as never, { trainFrom, accumulate: dx !== undefined, wantsDx: wants('x'), ...attributes, layers: layers.map(({ layer }) => layer) }, given);
    return { x: result.dx };
  },
});
