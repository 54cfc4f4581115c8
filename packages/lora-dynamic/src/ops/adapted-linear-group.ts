import { assertShape, defineOp, f32View, QdyloraError, type Arrays, type ArraySpec, type ArrayView, type FloatDType, type FloatView } from '@qdylora/contract';
import type { ComputeDtype } from '@qdylora/tensor';
import { adaptedLinear, adaptedLinearBackward, type AdaptedAttributes, type BaseOperands } from './adapted-linear.ts';
import { assertParts, type RankPart } from './rank-parts.ts';

type F32 = ArrayView<'f32'>;

/** Layers that a group has at most: q, k and v. */
export const GROUP_LAYERS = 3;

/** What is a layer's own: its frozen weight as in `AdaptedAttributes`, and the factor on B·A (1 where it has no adapter). */
export type GroupLayer = Pick<AdaptedAttributes, 'rows' | 'blockSize' | 'nestedOffset' | 'tiled' | 'scale'>;

export interface GroupAttributes {
  readonly layers: readonly GroupLayer[]; readonly cols: number; readonly computeDtype: ComputeDtype;
  readonly parts?: readonly RankPart[];
  /** Of every y; f32 where left out. */
  readonly outDtype?: FloatDType;
}

/** One layer's arrays. In a group's inputs and outputs their names end with the layer's number: `codes0`, `a0`, `y0`, `codes1` … */
export interface LayerOperands extends BaseOperands { readonly bias?: F32; readonly a?: F32; readonly b?: F32; readonly y?: FloatView; readonly u?: F32; readonly dy?: FloatView; readonly da?: F32; readonly db?: F32 }

const NAMES = ['weight', 'codes', 'levels', 'absmax', 'absmaxCodes', 'nestedAbsmax', 'nestedMap', 'bias', 'a', 'b', 'y', 'u', 'dy', 'da', 'db'] as const;

const numberedNames = (...names: string[]): string[] => Array.from({ length: GROUP_LAYERS }, (_, i) => names.map((name) => name + i)).flat();

/** Each name with the one that it has in a group, layer by layer: made once, since a name that is put together anew has to be looked up anew, too. */
const NUMBERED = Array.from({ length: GROUP_LAYERS }, (_, i) => NAMES.map((name) => [name, `${name}${i}`] as const));

/** The arrays of layer i that stand in `arrays` or `more`. */
export function layerOperands(arrays: Arrays, i: number, more: Arrays = {}): LayerOperands {
  const own: Record<string, ArrayView> = {};
  for (const [name, numberedName] of NUMBERED[i]!) {
    const array = arrays[numberedName] ?? more[numberedName];
    if (array) own[name] = array;
  }
  return own;
}

const IN_GROUP = NUMBERED.map((names) => new Map<string, string>(names));

/** Adds what one layer's record has to the group's, under its names there. */
export function addNumbered<T>(group: Record<string, T>, record: Readonly<Record<string, T | undefined>>, i: number): void {
  for (const name in record) {
    const value = record[name];
    if (value !== undefined) group[IN_GROUP[i]!.get(name)!] = value;
  }
}

/** What one layer's record has, under its names in the group. */
export function numbered<T>(record: Readonly<Record<string, T | undefined>>, i: number): Record<string, T> {
  const own: Record<string, T> = {};
  addNumbered(own, record, i);
  return own;
}

/** The rank of the layers that have an adapter; 0 where none has. */
export const groupRank = (arrays: Arrays, { layers }: GroupAttributes): number => Math.max(0, ...layers.map((_, i) => arrays[`a${i}`]?.shape[0] ?? 0));

/**
 * One to three frozen layers that read one x, with a nested adapter (`adapted-linear`) or without; all adapters have one rank.
 * x: [tokens, in]; for layer i as in `adapted-linear` bias, a, b and the weight's arrays  →  yᵢ: [tokens, outᵢ]  uᵢ: [tokens, r], where it has an adapter
 * @throws QdyloraError BAD_ARGUMENT for another number of layers or adapters of several ranks; BAD_SHAPE
 */
export const adaptedLinearGroup = defineOp({
  name: 'adapted-linear-group',
  halves: ['x', ...numberedNames('y')],
  shapes(inputs: Arrays, attributes: GroupAttributes): Record<string, ArraySpec | undefined> {
    const { layers, cols, outDtype = 'f32' } = attributes, x = inputs.x!, r = groupRank(inputs, attributes), tokens = x.shape[0]!;
    assertShape('adapted-linear-group', 'x', x.shape, [-1, cols]);
    assertLayers('adapted-linear-group', inputs, attributes);
    return Object.assign({}, ...layers.map(({ rows }, i) => ({ [`y${i}`]: { dtype: outDtype, shape: [tokens, rows] }, [`u${i}`]: inputs[`a${i}`] && { dtype: 'f32', shape: [tokens, r] } })));
  },
  flops: ({ x, ...arrays }, attributes) => {
    const r = groupRank(arrays, attributes);
    return 2 * x!.shape[0]! * attributes.layers.reduce((sum, { rows }, i) => sum + rows * attributes.cols + (arrays[`a${i}`] ? r * (rows + attributes.cols) : 0), 0);
  },
  reference(inputs, outputs: Arrays, attributes) {
    attributes.layers.forEach((_, i) => {
      const { y, u, ...own } = alone({ ...layerOperands(inputs, i), ...pick(outputs, i, ['y', 'u']) }, inputs.x as F32, attributes, i);
      adaptedLinear.reference({ ...own, x: inputs.x as F32 } as never, { y: y!, u: u! }, { ...attributes, ...attributes.layers[i]!, parts: inputs[`a${i}`] && attributes.parts });
    });
  },
});

/** As in `AdaptedBackwardAttributes`. */
export interface GroupBackwardAttributes extends GroupAttributes { readonly accumulate: boolean; readonly trainFrom: number; readonly wantsDx: boolean }

/**
 * The gradients of a group: dx = Σ over its layers, each as in `adapted-linear-backward`.
 * x: [tokens, in]; for layer i dyᵢ: [tokens, outᵢ], uᵢ: [tokens, r], a, b and the weight's arrays  →  dx: [tokens, in]  daᵢ: [r − trainFrom, in]  dbᵢ: [r − trainFrom, outᵢ]
 * @throws as `adapted-linear-group`
 */
export const adaptedLinearGroupBackward = defineOp({
  name: 'adapted-linear-group-backward',
  accumulates: numberedNames('da', 'db'),
  halves: ['x', 'dx', ...numberedNames('dy')],
  shapes(inputs: Arrays, attributes: GroupBackwardAttributes): Record<string, ArraySpec | undefined> {
    const { layers, cols, trainFrom, wantsDx } = attributes, x = inputs.x!, r = groupRank(inputs, attributes);
    assertLayers('adapted-linear-group-backward', inputs, attributes);
    layers.forEach(({ rows }, i) => {
      assertShape('adapted-linear-group-backward', `dy${i}`, inputs[`dy${i}`]!.shape, [x.shape[0]!, rows]);
      if (inputs[`a${i}`]) assertShape('adapted-linear-group-backward', `u${i}`, inputs[`u${i}`]!.shape, [x.shape[0]!, r]);
    });
    const gradients = layers.map(({ rows }, i) => inputs[`a${i}`] && { [`da${i}`]: { dtype: 'f32', shape: [r - trainFrom, cols] }, [`db${i}`]: { dtype: 'f32', shape: [r - trainFrom, rows] } });
    return Object.assign({ dx: wantsDx ? { dtype: x.dtype as FloatDType, shape: x.shape } : undefined }, ...gradients);
  },
  flops({ x, ...arrays }, attributes) {
    const { layers, cols, trainFrom, wantsDx } = attributes, r = groupRank(arrays, attributes);
    return 2 * x!.shape[0]! * layers.reduce((sum, { rows }, i) => sum + (wantsDx ? rows * cols : 0) + (arrays[`a${i}`] ? r * rows + (r - trainFrom) * (rows + cols) + (wantsDx ? r * cols : 0) : 0), 0);
  },
  reference(inputs, outputs: Arrays, attributes) {
    const x = inputs.x as F32, dx = outputs.dx as F32 | undefined;
    attributes.layers.forEach((layer, i) => {
      const { da, db, ...own } = alone({ ...layerOperands(inputs, i), ...pick(outputs, i, ['da', 'db']) }, x, attributes, i), trainFrom = Math.min(attributes.trainFrom, own.a!.shape[0]!);
      adaptedLinearBackward.reference({ ...own, x } as never, { dx, da, db }, { ...attributes, ...layer, trainFrom, parts: inputs[`a${i}`] && attributes.parts, accumulate: attributes.accumulate || i > 0 });
    });
  },
});

const pick = (arrays: Arrays, i: number, names: readonly string[]): LayerOperands => Object.fromEntries(names.map((name) => [name, arrays[name + i]]));

/** A layer without adapter is one of rank 0. */
function alone(operands: LayerOperands, x: F32, { cols, layers }: GroupAttributes, i: number): LayerOperands {
  if (operands.a) return operands;
  const nothing = (shape: readonly number[]): F32 => f32View(shape, new Float32Array(0));
  return { ...operands, a: nothing([0, cols]), b: nothing([0, layers[i]!.rows]), u: nothing([x.shape[0]!, 0]) };
}

function assertLayers(where: string, inputs: Arrays, attributes: GroupAttributes): void {
  const { layers, cols, parts } = attributes, r = groupRank(inputs, attributes);
  if (layers.length < 1 || layers.length > GROUP_LAYERS) throw new QdyloraError('BAD_ARGUMENT', { where, problem: `expected 1 to ${GROUP_LAYERS} layers, got ${layers.length}` });
  layers.forEach(({ rows }, i) => {
    const a = inputs[`a${i}`], b = inputs[`b${i}`];
    if (!a) return;
    assertParts(where, parts, inputs.x!.shape[0]!, r);
    assertShape(where, `a${i}`, a.shape, [r, cols]);
    assertShape(where, `b${i}`, b!.shape, [r, rows]);
  });
}
