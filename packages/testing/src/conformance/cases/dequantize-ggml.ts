import { createRng, viewOf } from '@qdylora/contract';
import { dequantizeGgml, GGML_BLOCKS } from '@qdylora/quant';
import fc from 'fast-check';
import { arbitrarySeed } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';

/** Random bits: every field of a block takes every value. */
function randomBlocks(type: string, byteCount: number, seed: number) {
  const rng = createRng(seed).named(type);
  return viewOf(
    'u8',
    [byteCount],
    Uint8Array.from({ length: byteCount }, (_, i) => rng.words(i)[0] & 255),
  );
}

/** Blocks whose scales are all this float16: infinity or NaN. */
const repeatedHalf = (half: number, byteCount: number) =>
  viewOf(
    'u8',
    [byteCount],
    Uint8Array.from({ length: byteCount }, (_, i) => (i % 2 ? half >> 8 : half & 255)),
  );

export const dequantizeGgmlCases = [...GGML_BLOCKS].map(([type, { length, bytes }]) =>
  conformanceCase(dequantizeGgml, {
    title: `bit for bit, for blocks of random bits in ${type}`,
    parameters: fc.record({ count: fc.constantFrom(0, 1, 2, 3, 255, 3000), seed: arbitrarySeed }),
    numRuns: 8,
    call: ({ count, seed }) => ({
      inputs: { blocks: randomBlocks(type, count * bytes, seed) },
      attributes: { type, shape: [count * length] },
      bound: () => 0,
    }),
    *edges() {
      for (const half of [0x7c00, 0xfe00])
        yield {
          inputs: { blocks: repeatedHalf(half, 3 * bytes) },
          attributes: { type, shape: [3 * length] },
          bound: () => 0,
        };
    },
  }),
);
