import { bindKernel, type Arrays, type BoundKernel } from '@qdylora/contract';
import {
  adaptedLinear,
  adaptedLinearBackward,
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
  GROUP_NAMES,
  groupRank,
  LAYER_NAMES,
  type GroupLayer,
  type LayerNames,
  type RankPart,
} from '@qdylora/lora-dynamic';
import type { CpuDoor, NativeRecord, NativeValue } from '../../src/addon/addon-functions.ts';

/**
 * One layer as the C++ record `Layer`. `names`: the names of its arrays in `inputs` and `outputs`. The fields
 * of the weight are written out in both functions, because a record made by a spread takes 19 µs (Node 20).
 */
const forwardLayer = (
  inputs: Arrays,
  outputs: Arrays,
  names: LayerNames,
  layer: GroupLayer,
): NativeRecord => ({
  weight: inputs[names.weight],
  codes: inputs[names.codes],
  levels: inputs[names.levels],
  absmax: inputs[names.absmax],
  absmaxCodes: inputs[names.absmaxCodes],
  nestedAbsmax: inputs[names.nestedAbsmax],
  nestedMap: inputs[names.nestedMap],
  rows: layer.rows,
  blockSize: layer.blockSize,
  tiled: layer.tiled ?? false,
  nestedOffset: layer.nestedOffset,
  bias: inputs[names.bias],
  a: inputs[names.a],
  b: inputs[names.b],
  y: outputs[names.y],
  u: outputs[names.u],
  scale: layer.scale,
});

/** One layer as the C++ record `BackwardLayer`. */
const backwardLayer = (
  inputs: Arrays,
  outputs: Arrays,
  names: LayerNames,
  layer: GroupLayer,
): NativeRecord => ({
  weight: inputs[names.weight],
  codes: inputs[names.codes],
  levels: inputs[names.levels],
  absmax: inputs[names.absmax],
  absmaxCodes: inputs[names.absmaxCodes],
  nestedAbsmax: inputs[names.nestedAbsmax],
  nestedMap: inputs[names.nestedMap],
  rows: layer.rows,
  blockSize: layer.blockSize,
  tiled: layer.tiled ?? false,
  nestedOffset: layer.nestedOffset,
  dy: inputs[names.dy],
  u: inputs[names.u],
  a: inputs[names.a],
  b: inputs[names.b],
  da: outputs[names.da],
  db: outputs[names.db],
  scale: layer.scale,
});

/**
 * Parts of the rows at different ranks, in the order of the C++ record `RankParts`. Without adapters: none.
 */
const ranksOf = (rankParts: readonly RankPart[] | undefined, r: number): NativeValue[] => {
  const parts = r > 0 ? rankParts : undefined;
  return [
    parts && Int32Array.from(parts.flatMap(({ until, rank, trainFrom }) => [until, rank, trainFrom])),
    parts && Float32Array.from(parts.flatMap(({ factor, weight = 1 }) => [factor, weight])),
    r,
  ];
};

/** True if the parts differ in the rows of A and B that they train, or in the weight of their gradients. */
const cutsGradients = (parts: readonly RankPart[] | undefined, from: number): boolean =>
  parts?.some(({ trainFrom, weight = 1 }) => trainFrom > from || Math.fround(weight) !== 1) ?? false;

const forwardKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const scratchFloats = native('adaptedForwardScratch');
  const forward = native('adaptedLinearForward');
  return [
    bindKernel(adaptedLinear, (inputs, outputs, attributes) => {
      const { x, xAdapter } = inputs;
      const { cols, computeDtype, parts } = attributes;
      const [tokens, r] = outputs.u.shape as [number, number];
      const layer = forwardLayer(inputs as Arrays, outputs as Arrays, LAYER_NAMES, attributes);
      withScratch(scratchFloats(tokens, cols, r, 1), (scratch) => {
        forward(
          x,
          xAdapter,
          [layer],
          ...ranksOf(parts, r),
          scratch,
          tokens,
          cols,
          r,
          computeDtype === 'bf16',
        );
      });
    }),
    bindKernel(adaptedLinearGroup, (inputs, outputs, attributes) => {
      const { layers, cols, computeDtype, parts } = attributes;
      const x = inputs.x!;
      const tokens = x.shape[0];
      const r = groupRank(inputs, attributes);
      const records = layers.map((layer, i) => forwardLayer(inputs, outputs, GROUP_NAMES[i], layer));
      withScratch(scratchFloats(tokens, cols, r, layers.length), (scratch) => {
        forward(
          x,
          undefined,
          records,
          ...ranksOf(parts, r),
          scratch,
          tokens,
          cols,
          r,
          computeDtype === 'bf16',
        );
      });
    }),
  ];
};

const backwardKernel = ({ native, withScratch }: CpuDoor): BoundKernel => {
  const scratchFloats = native('adaptedBackwardScratch');
  const backward = native('adaptedLinearBackward');
  return bindKernel(adaptedLinearBackward, (inputs, outputs, attributes) => {
    const { x, xAdapter, u } = inputs;
    const { dx, dxAdapter } = outputs;
    const { rows, cols, computeDtype, trainFrom, accumulate, parts } = attributes;
    const [tokens, r] = u.shape as [number, number];
    const layer = backwardLayer(inputs as Arrays, outputs as Arrays, LAYER_NAMES, attributes);
    withScratch(scratchFloats(tokens, rows, r, 1, cutsGradients(parts, trainFrom)), (scratch) => {
      // without da nobody reads x, so any array of its size can take its place
      backward(
        x ?? dx!,
        xAdapter,
        [layer],
        ...ranksOf(parts, r),
        dx,
        dxAdapter,
        scratch,
        tokens,
        cols,
        r,
        trainFrom,
        computeDtype === 'bf16',
        accumulate,
      );
    });
  });
};

const groupBackwardKernel = ({ native, withScratch }: CpuDoor): BoundKernel => {
  const scratchFloats = native('adaptedBackwardScratch');
  const backward = native('adaptedLinearBackward');
  return bindKernel(adaptedLinearGroupBackward, (inputs, outputs, attributes) => {
    const { layers, cols, computeDtype, accumulate, parts } = attributes;
    const x = inputs.x!;
    const tokens = x.shape[0];
    const r = groupRank(inputs, attributes);
    const rows = layers.reduce((sum, layer) => sum + layer.rows, 0);
    const trainFrom = Math.min(attributes.trainFrom, r);
    const records = layers.map((layer, i) => backwardLayer(inputs, outputs, GROUP_NAMES[i], layer));
    const floats = scratchFloats(tokens, rows, r, layers.length, cutsGradients(parts, trainFrom));
    withScratch(floats, (scratch) => {
      backward(
        x,
        undefined,
        records,
        ...ranksOf(parts, r),
        outputs.dx,
        undefined,
        scratch,
        tokens,
        cols,
        r,
        trainFrom,
        computeDtype === 'bf16',
        accumulate,
      );
    });
  });
};

export const adaptedLinearKernels = (door: CpuDoor): BoundKernel[] => [
  ...forwardKernels(door),
  backwardKernel(door),
  groupBackwardKernel(door),
];
