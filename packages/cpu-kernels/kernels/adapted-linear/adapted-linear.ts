import { bindKernel, type Arrays, type BoundKernel } from '@qdylora/contract';
import {
  adaptedLinear,
  adaptedLinearBackward,
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
  GROUP_LAYERS,
  GROUP_NAMES,
  groupRank,
  LAYER_NAMES,
  type GroupLayer,
  type LayerNames,
  type RankPart,
} from '@qdylora/lora-dynamic';
import type { CpuDoor, NativeArgument } from '../../src/addon-functions.ts';

/** A frozen weight, in the order of C++'s `Base`. */
const base = (
  arrays: Arrays,
  names: LayerNames,
  { rows, blockSize, tiled = false, nestedOffset }: GroupLayer,
): NativeArgument[] => [
  arrays[names.weight],
  arrays[names.codes],
  arrays[names.levels],
  arrays[names.absmax],
  arrays[names.absmaxCodes],
  arrays[names.nestedAbsmax],
  arrays[names.nestedMap],
  rows,
  blockSize,
  tiled,
  nestedOffset,
];

/**
 * The arrays of one layer, by their names in `inputs` and `outputs`, in the order of C++'s `Layer`, and of
 * its `BackwardLayer`.
 */
function forwardLayer(
  inputs: Arrays,
  outputs: Arrays,
  names: LayerNames,
  layer: GroupLayer,
): NativeArgument[] {
  const flat = base(inputs, names, layer);
  flat.push(
    inputs[names.bias],
    inputs[names.a],
    inputs[names.b],
    outputs[names.y],
    outputs[names.u],
    layer.scale,
  );
  return flat;
}
function backwardLayer(
  inputs: Arrays,
  outputs: Arrays,
  names: LayerNames,
  layer: GroupLayer,
): NativeArgument[] {
  const flat = base(inputs, names, layer);
  flat.push(
    inputs[names.dy],
    inputs[names.u],
    inputs[names.a],
    inputs[names.b],
    outputs[names.da],
    outputs[names.db],
    layer.scale,
  );
  return flat;
}

const NO_LAYER: GroupLayer = { rows: 0, blockSize: 0, nestedOffset: 0, scale: 1 };
const NO_FORWARD = forwardLayer({}, {}, LAYER_NAMES, NO_LAYER);
const NO_BACKWARD = backwardLayer({}, {}, LAYER_NAMES, NO_LAYER);

/** The arguments of as many layers as C++ takes. */
function filled(layers: readonly NativeArgument[][], noLayer: readonly NativeArgument[]): NativeArgument[] {
  const flat: NativeArgument[] = [];
  for (let i = 0; i < GROUP_LAYERS; i++) flat.push(...(layers[i] ?? noLayer));
  return flat;
}

/** Rows at ranks of their own, in the order of C++'s `RankParts`; a group without adapters has none. */
const ranksOf = (given: readonly RankPart[] | undefined, r: number): NativeArgument[] => {
  const parts = r > 0 ? given : undefined;
  return [
    parts && Int32Array.from(parts.flatMap(({ until, rank, trainFrom }) => [until, rank, trainFrom])),
    parts && Float32Array.from(parts.flatMap(({ factor, weight = 1 }) => [factor, weight])),
    r,
  ];
};

/**
 * True where a part gives no gradient to rows of A and B that another one trains, or gives one that counts
 * more or less.
 */
const cutsGradients = (parts: readonly RankPart[] | undefined, from: number): boolean =>
  parts?.some(({ trainFrom, weight = 1 }) => trainFrom > from || Math.fround(weight) !== 1) ?? false;

export const adaptedLinearKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const forwardFloats = native('adaptedForwardScratch');
  const forward = native('adaptedLinearForward');
  const backwardFloats = native('adaptedBackwardScratch');
  const backward = native('adaptedLinearBackward');
  return [
    bindKernel(adaptedLinear, (inputs, outputs, attributes) => {
      const { x, xAdapter } = inputs;
      const { cols, computeDtype, parts } = attributes;
      const [tokens, r] = outputs.u.shape as [number, number];
      const layers = filled(
        [forwardLayer(inputs as Arrays, outputs as Arrays, LAYER_NAMES, attributes)],
        NO_FORWARD,
      );
      withScratch(forwardFloats(tokens, cols, r, 1), (scratch) => {
        forward(
          x,
          xAdapter,
          ...layers,
          ...ranksOf(parts, r),
          scratch,
          1,
          tokens,
          cols,
          r,
          computeDtype === 'bf16',
        );
      });
    }),
    bindKernel(adaptedLinearBackward, (inputs, outputs, attributes) => {
      const { x, xAdapter, u } = inputs;
      const { dx, dxAdapter } = outputs;
      const { rows, cols, computeDtype, trainFrom, accumulate, parts } = attributes;
      const [tokens, r] = u.shape as [number, number];
      const layers = filled(
        [backwardLayer(inputs as Arrays, outputs as Arrays, LAYER_NAMES, attributes)],
        NO_BACKWARD,
      );
      withScratch(backwardFloats(tokens, rows, r, 1, cutsGradients(parts, trainFrom)), (scratch) => {
        // without da nobody reads x, so anything of its size may stand for it
        backward(
          x ?? dx!,
          xAdapter,
          ...layers,
          ...ranksOf(parts, r),
          dx,
          dxAdapter,
          scratch,
          1,
          tokens,
          cols,
          r,
          trainFrom,
          computeDtype === 'bf16',
          accumulate,
        );
      });
    }),
    bindKernel(adaptedLinearGroup, (inputs, outputs, attributes) => {
      const { layers, cols, computeDtype, parts } = attributes;
      const x = inputs.x!;
      const tokens = x.shape[0]!;
      const r = groupRank(inputs, attributes);
      const flat = filled(
        layers.map((layer, i) => forwardLayer(inputs, outputs, GROUP_NAMES[i]!, layer)),
        NO_FORWARD,
      );
      withScratch(forwardFloats(tokens, cols, r, layers.length), (scratch) => {
        forward(
          x,
          undefined,
          ...flat,
          ...ranksOf(parts, r),
          scratch,
          layers.length,
          tokens,
          cols,
          r,
          computeDtype === 'bf16',
        );
      });
    }),
    bindKernel(adaptedLinearGroupBackward, (inputs, outputs, attributes) => {
      const { layers, cols, computeDtype, accumulate, parts } = attributes;
      const x = inputs.x!;
      const tokens = x.shape[0]!;
      const r = groupRank(inputs, attributes);
      const rows = layers.reduce((sum, layer) => sum + layer.rows, 0);
      const trainFrom = Math.min(attributes.trainFrom, r);
      const flat = filled(
        layers.map((layer, i) => backwardLayer(inputs, outputs, GROUP_NAMES[i]!, layer)),
        NO_BACKWARD,
      );
      withScratch(
        backwardFloats(tokens, rows, r, layers.length, cutsGradients(parts, trainFrom)),
        (scratch) => {
          backward(
            x,
            undefined,
            ...flat,
            ...ranksOf(parts, r),
            outputs.dx,
            undefined,
            scratch,
            layers.length,
            tokens,
            cols,
            r,
            trainFrom,
            computeDtype === 'bf16',
            accumulate,
          );
        },
      );
    }),
  ];
};
