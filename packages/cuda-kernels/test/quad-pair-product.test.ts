import { narrowHalves } from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openEmulator, type EmulatedArgument } from './emulator.ts';

// mma.m8n8k4, the instruction of V100's tensor cores: a warp multiplies four pairs of small matrices. The
// emulator has the formulas of the PTX manual. Here the fragments are written as CUTLASS has them (layouts of
// include/cute/atom/mma_traits_sm70.hpp): shape and stride of (thread of eight, value) → row + 8 · column.

const emulator = await openEmulator();

const [ROWS, COLUMNS, DEPTH, PAIRS] = [8, 8, 4, 4];
const LANES = 32;
const THREADS_OF_PAIR = 8;

/** The place in a matrix of 8 rows, column by column, of value `value` of a thread of the eight. */
type Layout = (thread: number, value: number) => number;

/** `digits` of a number by a mixed radix, the lowest first, times `strides`. */
const strided = (number: number, digits: readonly number[], strides: readonly number[]): number => {
  let [rest, sum] = [number, 0];
  digits.forEach((radix, i) => {
    sum += (rest % radix) * strides[i];
    rest = Math.floor(rest / radix);
  });
  return sum;
};

/** SM70_8x4_Row: ⟨8, 4⟩ : ⟨1, 8⟩ */
const alongDepth: Layout = (thread, value) => thread + 8 * value;
/** SM70_8x4_Col: ⟨⟨4, 2⟩, 4⟩ : ⟨⟨8, 4⟩, 1⟩ */
const acrossDepth: Layout = (thread, value) => strided(thread, [4, 2], [8, 4]) + value;
/** SM70_8x8_32b: ⟨⟨2, 2, 2⟩, ⟨2, 2, 2⟩⟩ : ⟨⟨1, 16, 4⟩, ⟨8, 2, 32⟩⟩ */
const ofSums: Layout = (thread, value) =>
  strided(thread, [2, 2, 2], [1, 16, 4]) + strided(value, [2, 2, 2], [8, 2, 32]);

/** SM70_QuadPair: ⟨4, 2⟩ : ⟨1, 16⟩; the pairs are four lanes apart. */
const laneOf = (pair: number, thread: number): number => 4 * pair + strided(thread, [4, 2], [1, 16]);

/** The matrices of the four pairs, one after another, as the values of each lane. */
function fragmentsOf(matrices: Float32Array, layout: Layout, valuesOfLane: number): Float32Array {
  const fragments = new Float32Array(LANES * valuesOfLane);
  const size = THREADS_OF_PAIR * valuesOfLane;
  for (let pair = 0; pair < PAIRS; pair++)
    for (let thread = 0; thread < THREADS_OF_PAIR; thread++)
      for (let value = 0; value < valuesOfLane; value++)
        fragments[laneOf(pair, thread) * valuesOfLane + value] =
          matrices[pair * size + layout(thread, value)];
  return fragments;
}

interface Product {
  /** Four of [8, 4], column by column. */
  readonly a: Float32Array;
  /** Four of [8, 4], the columns of the right factor, column by column: bᵀ. */
  readonly b: Float32Array;
  /** Four of [8, 8], column by column. */
  readonly c: Float32Array;
}

/** c + a·b in float64, column by column. */
function referenceProduct({ a, b, c }: Product): Float32Array {
  const sums = new Float32Array(PAIRS * ROWS * COLUMNS);
  for (let pair = 0; pair < PAIRS; pair++)
    for (let row = 0; row < ROWS; row++)
      for (let column = 0; column < COLUMNS; column++) {
        const at = pair * ROWS * COLUMNS + row + ROWS * column;
        let sum = c[at];
        for (let k = 0; k < DEPTH; k++)
          sum += a[pair * ROWS * DEPTH + row + ROWS * k] * b[pair * COLUMNS * DEPTH + column + COLUMNS * k];
        sums[at] = sum;
      }
  return sums;
}

const kernelOf = (instruction: string): string => `
.version 8.8
.target sm_70
.address_size 64
.visible .entry product(.param .u64 left, .param .u64 right, .param .u64 summand, .param .u64 out)
{
  .reg .b32 %t, %a<2>, %b<2>;
  .reg .f32 %f<8>;
  .reg .b64 %left, %right, %c, %d, %wide;
  mov.u32 %t, %tid.x;
  ld.param.u64 %left, [left];
  ld.param.u64 %right, [right];
  ld.param.u64 %c, [summand];
  ld.param.u64 %d, [out];
  mul.wide.u32 %wide, %t, 8;
  add.s64 %left, %left, %wide;
  add.s64 %right, %right, %wide;
  mul.wide.u32 %wide, %t, 32;
  add.s64 %c, %c, %wide;
  add.s64 %d, %d, %wide;
  ld.global.v2.u32 {%a0, %a1}, [%left];
  ld.global.v2.u32 {%b0, %b1}, [%right];
  ld.global.v4.f32 {%f0, %f1, %f2, %f3}, [%c];
  ld.global.v4.f32 {%f4, %f5, %f6, %f7}, [%c+16];
  ${instruction}
    {%f0, %f1, %f2, %f3, %f4, %f5, %f6, %f7}, {%a0, %a1}, {%b0, %b1},
    {%f0, %f1, %f2, %f3, %f4, %f5, %f6, %f7};
  st.global.v4.f32 [%d], {%f0, %f1, %f2, %f3};
  st.global.v4.f32 [%d+16], {%f4, %f5, %f6, %f7};
  ret;
}`;

const arrayOf = (
  type: 'input' | 'output',
  array: ArrayBufferView,
  elementBytes: number,
): EmulatedArgument => ({
  type,
  bytes: new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
  written: new Uint8Array(array.byteLength).fill(type === 'input' ? 1 : 0),
  elementBytes,
});

interface Fragments {
  readonly left: Layout;
  readonly right: Layout;
  readonly threads?: number;
  readonly approximation?: number;
}

/** The four products by the emulator, column by column. */
function multiply(instruction: string, product: Product, fragments: Fragments): Float32Array {
  const { left, right, threads = LANES, approximation = 0 } = fragments;
  const sums = new Float32Array(LANES * 8);
  emulator!.run(emulator!.load(kernelOf(instruction)), {
    kernel: 'product',
    grid: [1, 1, 1],
    block: [threads, 1, 1],
    arguments: [
      arrayOf('input', narrowHalves('f16', fragmentsOf(product.a, left, 4)), 2),
      arrayOf('input', narrowHalves('f16', fragmentsOf(product.b, right, 4)), 2),
      arrayOf('input', fragmentsOf(product.c, ofSums, 8), 4),
      arrayOf('output', sums, 4),
    ],
    seed: 3,
    approximation,
    mostInstructions: 10_000,
  });
  const matrices = new Float32Array(sums.length);
  for (let pair = 0; pair < PAIRS; pair++)
    for (let thread = 0; thread < THREADS_OF_PAIR; thread++)
      for (let value = 0; value < 8; value++)
        matrices[pair * ROWS * COLUMNS + ofSums(thread, value)] = sums[laneOf(pair, thread) * 8 + value];
  return matrices;
}

const nameOf = (layouts: string): string => `mma.sync.aligned.m8n8k4.${layouts}.f32.f16.f16.f32`;

const LAYOUTS: readonly (readonly [string, Layout, Layout])[] = [
  ['row.col', alongDepth, alongDepth],
  ['row.row', alongDepth, acrossDepth],
  ['col.col', acrossDepth, alongDepth],
  ['col.row', acrossDepth, acrossDepth],
];

/** Integers so small that every order and every rounding of the sums gives them exactly. */
const integers = (length: number): fc.Arbitrary<Float32Array> =>
  fc
    .array(fc.integer({ min: -1000, max: 1000 }), { minLength: length, maxLength: length })
    .map((values) => Float32Array.from(values));
const products: fc.Arbitrary<Product> = fc.record({
  a: integers(PAIRS * ROWS * DEPTH),
  b: integers(PAIRS * COLUMNS * DEPTH),
  c: integers(PAIRS * ROWS * COLUMNS),
});

describe.skipIf(!emulator)('mma.m8n8k4 in the emulator', () => {
  test.each(LAYOUTS)('gives the products of four pairs of matrices, in %s', (layouts, left, right) => {
    fc.assert(
      fc.property(products, fc.constantFrom(-1, 0, 1), (product, approximation) => {
        expect(multiply(nameOf(layouts), product, { left, right, approximation })).toEqual(
          referenceProduct(product),
        );
      }),
      { numRuns: 20 },
    );
  });

  // rows and columns that all differ: no two layouts give the same sums
  const distinct: Product = {
    a: Float32Array.from({ length: PAIRS * ROWS * DEPTH }, (_, i) => i + 1),
    b: Float32Array.from({ length: PAIRS * COLUMNS * DEPTH }, (_, i) => 2 ** (i % 5) + i),
    c: new Float32Array(PAIRS * ROWS * COLUMNS),
  };

  test.each(LAYOUTS)('gives other sums where a fragment is not in %s', (layouts, left, right) => {
    const others = [alongDepth, acrossDepth];
    const want = referenceProduct(distinct);
    for (const otherLeft of others)
      for (const otherRight of others) {
        const isSame = otherLeft === left && otherRight === right;
        const sums = multiply(nameOf(layouts), distinct, { left: otherLeft, right: otherRight });
        if (isSame) expect(sums).toEqual(want);
        else expect(sums).not.toEqual(want);
      }
  });

  test('needs all lanes of a warp', () => {
    const fragments = { left: alongDepth, right: alongDepth, threads: 31 };
    expect(() => multiply(nameOf('row.col'), distinct, fragments)).toThrow(/needs a whole warp/);
  });

  test.each([
    'mma.sync.aligned.m8n8k4.row.col.f32.bf16.bf16.f32',
    'mma.sync.aligned.m8n8k4.row.col.f16.f16.f16.f16',
    'mma.sync.aligned.m16n8k8.col.col.f32.f16.f16.f32',
  ])('is not %s, which the emulator refuses', (instruction) => {
    expect(() => emulator!.load(kernelOf(instruction))).toThrow(/does not know/);
  });
});
