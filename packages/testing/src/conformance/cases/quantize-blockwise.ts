import { f32View, narrowHalves, viewOf } from '@qdylora/contract';
import { BLOCK_SIZES, levelsOf, QUANTIZATION_KINDS, quantizeBlockwise } from '@qdylora/quant';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalFloatView, normalHalfView, normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves } from '../conformance-case.ts';
import type { Bound } from '../tolerance.ts';

/** Codes are bytes, and scales are single numbers of the input. */
const exact: Bound = () => 0;
const kind = fc.constantFrom(...QUANTIZATION_KINDS);
const blockSize = fc.constantFrom(...BLOCK_SIZES);

export const quantizeBlockwiseCases = [
  conformanceCase(quantizeBlockwise, {
    title: 'byte for byte, for every kind, block size, tail and magnitude, on and beside every limit',
    parameters: fc.record({
      size: arbitrarySize(20_000),
      seed: arbitrarySeed,
      kind,
      blockSize,
      scale: fc.constantFrom(1e-39, 1e-20, 1, 1e30),
    }),
    numRuns: 40,
    call: ({ size, seed, scale, ...attributes }) => ({
      inputs: { values: normalView(seed, 'w', [size], scale) },
      attributes,
      bound: exact,
    }),
    *edges() {
      for (const edgeKind of QUANTIZATION_KINDS) {
        const values = nearLimits(levelsOf(edgeKind));
        for (const size of [32, 64, 128])
          yield { inputs: { values }, attributes: { kind: edgeKind, blockSize: size }, bound: exact };
        const fractions = f32View([1024], wholeNumbers());
        yield { inputs: { values: fractions }, attributes: { kind: edgeKind, blockSize: 32 }, bound: exact };
      }
      const values = f32View(
        [133],
        new Float32Array(133).fill(1e-42, 32, 64).fill(-1e-40, 64, 70).fill(-0, 80, 96),
      );
      for (const edgeKind of QUANTIZATION_KINDS)
        yield { inputs: { values }, attributes: { kind: edgeKind, blockSize: 32 }, bound: exact };
    },
  }),
  ...forHalves(({ half }) => [
    conformanceCase(quantizeBlockwise, {
      title: 'byte for byte, from two bytes',
      parameters: fc.record({ size: arbitrarySize(5000), seed: arbitrarySeed, kind, blockSize }),
      numRuns: 20,
      call: ({ size, seed, ...attributes }) => ({
        inputs: { values: normalHalfView(half, seed, 'w', [size]) },
        attributes,
        bound: exact,
      }),
      edges: () =>
        QUANTIZATION_KINDS.map((edgeKind) => ({
          inputs: { values: viewOf(half, [1024], narrowHalves(half, wholeNumbers())) },
          attributes: { kind: edgeKind, blockSize: 32 },
          bound: exact,
        })),
    }),
    conformanceCase(quantizeBlockwise, {
      title: 'byte for byte, with codes in tiles',
      parameters: fc.record({
        bands: fc.integer({ min: 1, max: 4 }),
        tileColumns: fc.integer({ min: 1, max: 9 }),
        seed: arbitrarySeed,
        kind,
        isHalf: fc.boolean(),
      }),
      numRuns: 20,
      call: ({ bands, tileColumns, seed, kind: drawnKind, isHalf }) => ({
        inputs: {
          values: normalFloatView(isHalf ? half : 'f32', seed, 'w', [bands * 32 * tileColumns * 64]),
        },
        attributes: { kind: drawnKind, blockSize: 64, tileColumns },
        bound: exact,
      }),
    }),
  ]),
];

/**
 * Blocks of a whole number from 31 to 62 and smaller negative ones: [1024]. Of FP4 some limits are fractions
 * such as 35/42 and 28/48, where the quotient rounds to another side than the product by a reciprocal.
 */
const wholeNumbers = (): Float32Array =>
  Float32Array.from({ length: 1024 }, (_, i) =>
    i % 32 === 0 ? 31 + i / 32 : -((i % 32) + Math.floor(i / 64)),
  );

/** 1, then the middles between two levels and their neighbours in float32, then zeros: [128]. */
function nearLimits(levels: ArrayLike<number>) {
  const sorted = Array.from(levels).sort((a, b) => a - b);
  const middles = sorted.slice(1).map((level, i) => Math.fround((level + sorted[i]) / 2));
  const near = middles.flatMap((x) => [x, x * (1 + 2 ** -23), x * (1 - 2 ** -23), -x]);
  return f32View([128], [1, ...near, ...Array.from({ length: 128 }, () => 0)].slice(0, 128));
}
