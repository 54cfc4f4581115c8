import { bindKernel, type BoundKernel } from '@qdylora/contract';
import {
  adaptedLinear, adaptedLinearBackward, adaptedLinearGroup, adaptedLinearGroupBackward, GROUP_LAYERS, groupRank, layerOperands, type GroupLayer, type LayerOperands, type RankPart,
} from '@qdylora/lora-dynamic';
import type { CpuDoor, NativeArgument } from '../../src/addon-functions.ts';

/** A frozen weight, in the order of C++'s `Base`. */
const base = ({ weight, codes, levels, absmax, absmaxCodes, nestedAbsmax, nestedMap }: LayerOperands, { rows, blockSize, tiled = false, nestedOffset }: GroupLayer): NativeArgument[] =>
  [weight?.data, codes?.data, levels?.data, absmax?.data, absmaxCodes?.data, nestedAbsmax?.data, nestedMap?.data, rows, blockSize, tiled, nestedOffset];

const forwardLayer = (arrays: LayerOperands, layer: GroupLayer): NativeArgument[] =>
  [...base(arrays, layer), arrays.bias?.data, arrays.a?.data, arrays.b?.data, arrays.y?.data, arrays.u?.data, layer.scale];
const backwardLayer = (arrays: LayerOperands, layer: GroupLayer): NativeArgument[] =>
  [...base(arrays, layer), arrays.dy?.data, arrays.u?.data, arrays.a?.data, arrays.b?.data, arrays.da?.data, arrays.db?.data, layer.scale];

const NO_LAYER: GroupLayer = { rows: 0, blockSize: 0, nestedOffset: 0, scale: 1 }, NO_FORWARD = forwardLayer({}, NO_LAYER), NO_BACKWARD = backwardLayer({}, NO_LAYER);

/** The arguments of as many layers as C++ takes. */
function filled(layers: readonly NativeArgument[][], noLayer: readonly NativeArgument[]): NativeArgument[] {
  const flat: NativeArgument[] = [];
  for (let i = 0; i < GROUP_LAYERS; i++) flat.push(...(layers[i] ?? noLayer));
  return flat;
}

/** Rows at ranks of their own, in the order of C++'s `RankParts`; a group without adapters has none. */
const ranksOf = (given: readonly RankPart[] | undefined, r: number): NativeArgument[] => {
  const parts = r > 0 ? given : undefined;
  return [parts && Int32Array.from(parts.flatMap(({ until, rank, trainFrom }) => [until, rank, trainFrom])), parts && Float32Array.from(parts.flatMap(({ factor, weight = 1 }) => [factor, weight])), r];
};

/** True where a part gives no gradient to rows of A and B that another one trains, or gives one that counts more or less. */
const cutsGradients = (parts: readonly RankPart[] | undefined, from: number): boolean => parts?.some(({ trainFrom, weight = 1 }) => trainFrom > from || Math.fround(weight) !== 1) ?? false;

export const adaptedLinearKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const forwardFloats = native('adaptedForwardScratch'), forward = native('adaptedLinearForward'), backwardFloats = native('adaptedBackwardScratch'), backward = native('adaptedLinearBackward');
  return [
    bindKernel(adaptedLinear, ({ x, xAdapter, ...arrays }, { y, u }, attributes) => {
      const { cols, computeDtype, parts } = attributes, [tokens, r] = u.shape as [number, number], layers = filled([forwardLayer({ y, u, ...arrays }, attributes)], NO_FORWARD);
      withScratch(forwardFloats(tokens, cols, r, 1), (scratch) => { forward(x.data, xAdapter?.data, ...layers, ...ranksOf(parts, r), scratch, 1, tokens, cols, r, computeDtype === 'bf16'); });
    }),
    bindKernel(adaptedLinearBackward, ({ x, xAdapter, ...arrays }, { dx, dxAdapter, da, db }, attributes) => {
      const { rows, cols, computeDtype, trainFrom, accumulate, parts } = attributes, [tokens, r] = arrays.u.shape as [number, number], layers = filled([backwardLayer({ da, db, ...arrays }, attributes)], NO_BACKWARD);
      withScratch(backwardFloats(tokens, rows, r, 1, cutsGradients(parts, trainFrom)), (scratch) => { // without da nobody reads x, so anything of its size may stand for it
        backward((x ?? dx!).data, xAdapter?.data, ...layers, ...ranksOf(parts, r), dx?.data, dxAdapter?.data, scratch, 1, tokens, cols, r, trainFrom, computeDtype === 'bf16', accumulate);
      });
    }),
    bindKernel(adaptedLinearGroup, (inputs, outputs, attributes) => {
      const { layers, cols, computeDtype, parts } = attributes, x = inputs.x!, tokens = x.shape[0]!, r = groupRank(inputs, attributes);
      const flat = filled(layers.map((layer, i) => forwardLayer(layerOperands(inputs, i, outputs), layer)), NO_FORWARD);
      withScratch(forwardFloats(tokens, cols, r, layers.length), (scratch) => { forward(x.data as Float32Array, undefined, ...flat, ...ranksOf(parts, r), scratch, layers.length, tokens, cols, r, computeDtype === 'bf16'); });
    }),
    bindKernel(adaptedLinearGroupBackward, (inputs, outputs, attributes) => {
      const { layers, cols, computeDtype, accumulate, parts } = attributes, x = inputs.x!, tokens = x.shape[0]!, r = groupRank(inputs, attributes);
      const rows = layers.reduce((sum, layer) => sum + layer.rows, 0), trainFrom = Math.min(attributes.trainFrom, r), flat = filled(layers.map((layer, i) => backwardLayer(layerOperands(inputs, i, outputs), layer)), NO_BACKWARD);
      withScratch(backwardFloats(tokens, rows, r, layers.length, cutsGradients(parts, trainFrom)), (scratch) => {
        backward(x.data as Float32Array, undefined, ...flat, ...ranksOf(parts, r), outputs.dx?.data as Float32Array | undefined, undefined, scratch, layers.length, tokens, cols, r, trainFrom, computeDtype === 'bf16', accumulate);
      });
    }),
  ];
};
