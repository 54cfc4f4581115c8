import { hostData, elementCount, f32View, shapeOnly, viewOf, type ArrayView } from '@qdylora/contract';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BLOCK_SIZES,
  packedWeight,
  quantize4bit,
  shapeMatrix,
  tileMatrix,
  type QuantizedMatrix,
} from '../index.ts';

/** Everything of a matrix but its numbers. */
const outline = (matrix: QuantizedMatrix): object => {
  const { operands, attributes, shape, byteLength } = packedWeight(matrix);
  const arrays = Object.entries(operands).map(([name, view]) => [
    name,
    view && { dtype: view.dtype, shape: view.shape },
  ]);
  return {
    shape,
    byteLength,
    bitsPerWeight: matrix.bitsPerWeight,
    arrays,
    attributes: { ...attributes, nestedOffset: 0, tiled: attributes.tiled ?? false },
  };
};

test(
  'a matrix of shapes has the arrays, bytes and attributes of a quantized one, in the order in which ' +
    'they are moved',
  () => {
    const sizes = fc.tuple(
      fc.integer({ min: 1, max: 100 }),
      fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom(64, 128)),
    );
    fc.assert(
      fc.property(
        sizes,
        fc.constantFrom(...BLOCK_SIZES),
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom('nf4' as const, 'fp4' as const),
        (shape, blockSize, doubleQuantization, tiled, kind) => {
          const real = quantize4bit(
            kind,
            { data: new Float32Array(elementCount(shape)).fill(1), shape },
            { blockSize, doubleQuantization },
          );
          const arrays: ArrayView[] = [];
          const planned = shapeMatrix({
            kind,
            shape,
            blockSize,
            doubleQuantization,
            tiled,
            array: (dtype, arrayShape) => {
              arrays.push(shapeOnly(dtype, arrayShape));
              return arrays.at(-1) as never;
            },
          });
          expect(outline(planned)).toEqual(outline(tiled ? tileMatrix(real) : real));
          const { codes, levels, absmax, doubleQuantized: nested } = planned;
          expect(arrays).toEqual([
            codes,
            levels,
            ...(absmax ? [absmax] : []),
            ...(nested ? [nested.codes, nested.absmax, nested.map] : []),
          ]);
        },
      ),
      { numRuns: 60 },
    );
  },
);

test('it refuses block sizes that nobody reads', () => {
  expect(() =>
    shapeMatrix({
      kind: 'nf4',
      shape: [2, 2],
      blockSize: 48,
      tiled: false,
      array: (dtype, shape) => viewOf(dtype, shape, hostData(f32View(shape)) as never),
    }),
  ).toThrow(/the block size must be one of 32, 64.*\(got 48\)/);
});
