import {
  hostData,
  createHostBackend,
  type ArrayView,
  type Backend,
  type PackedWeight,
} from '@qdylora/contract';
import { dequantizeNf4, moveToMemory, packedWeight, quantizeNf4, type quantizedInputs } from '@qdylora/quant';
import { leaf, Linear, mapLinears, Parameter, type ForwardContext, type LinearLike } from '@qdylora/tensor';
import { randomF32, seededNumbers } from '@qdylora/testing';
import fc from 'fast-check';
import {
  attachDyLora,
  RANK_SCALINGS,
  type AdaptableModel,
  type Adapted,
  type AdapterConfig,
} from '../src/index.ts';

/** The smallest model that can be adapted: two linear layers, one after the other. */
export interface Toy extends AdaptableModel<Toy> {
  readonly modules: { readonly first: LinearLike; readonly second: LinearLike };
}

export const toy = (backend: Backend, modules: Toy['modules']): Toy => ({
  backend,
  modules,
  withModules: (replace) => toy(backend, mapLinears(modules, replace)),
});

const packed = (values: ArrayView<'f32'>, backend: Backend): PackedWeight =>
  packedWeight(
    moveToMemory(
      quantizeNf4({ data: hostData(values), shape: values.shape as [number, number] }, { blockSize: 64 }),
      backend.memory,
    ),
  );

/** A toy with random adapters (B too, so that ranks differ). Its first layer is packed, its second dense. */
export function adaptedToy(
  seed: number,
  config: Partial<AdapterConfig> = {},
  backend = createHostBackend({ poison: true }),
): Adapted<Toy> & { model: Toy } {
  const next = seededNumbers(seed);
  const first = new Linear('first', packed(randomF32([5, 6], next), backend));
  const second = new Linear(
    'second',
    new Parameter('second.weight', randomF32([4, 5], next)),
    new Parameter('second.bias', randomF32([4], next)),
  );
  const adapted = attachDyLora(toy(backend, { first, second }), { ranks: [1, 2, 4, 8], seed, ...config });
  for (const layer of adapted.layers)
    for (const p of [layer.a, layer.b]) hostData(p.view).set(hostData(randomF32(p.view.shape, next)));
  return adapted;
}

export const runToy = (model: Toy, ctx: ForwardContext, x: ArrayView<'f32'>) => {
  const start = leaf(x);
  const hidden = model.modules.first.forward(ctx, start);
  return { start, y: model.modules.second.forward(ctx, hidden) };
};

/** The decoded weight of layer i. */
export function baseWeightOf(adapted: Adapted<Toy>, i: number): Float32Array {
  const { weight } = adapted.layers[i].base;
  if ('view' in weight) return hostData(weight.view as ArrayView<'f32'>).slice();
  const { rows, cols, blockSize, nestedOffset } = weight.attributes as {
    rows: number;
    cols: number;
    blockSize: number;
    nestedOffset: number;
  };
  const operands = weight.operands as ReturnType<typeof quantizedInputs>;
  return dequantizeNf4({
    kind: 'nf4',
    shape: [rows, cols],
    blockSize,
    codes: operands.codes,
    levels: operands.levels,
    absmax: null,
    doubleQuantized: {
      codes: operands.absmaxCodes!,
      absmax: operands.nestedAbsmax!,
      map: operands.nestedMap!,
      offset: nestedOffset,
      blockSize: 256,
    },
    bitsPerWeight: 0,
    byteLength: 0,
  });
}

/** A rank of a toy, with the seed of its numbers. */
export const arbitraryRank = fc.record({
  seed: fc.nat(),
  rank: fc.integer({ min: 1, max: 8 }),
  tokens: fc.integer({ min: 1, max: 4 }),
  scaling: fc.constantFrom(...RANK_SCALINGS),
});
