import { hostData } from '@qdylora/contract';
import {
  BLOCK_SIZES,
  matmulNf4,
  matmulNf4InputGradient,
  quantizedAttributes,
  quantizedInputs,
  quantizeNf4,
  tileMatrix,
} from '@qdylora/quant';
import fc from 'fast-check';
import { packedWeight } from '../../arbitraries/packed-weight.ts';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves, type ConformanceCase, type HalfSetting } from '../conformance-case.ts';
import { EPSILON, magnitudeBound, OPERAND_ROUNDING } from '../tolerance.ts';

/**
 * One rounding per product and per addition of a sum; the decoded weights are the reference's, bit for bit.
 */
const sumRoundings = (terms: number): number => terms + 3;

const parametersFor = ({ computeDtypes }: HalfSetting) =>
  fc.record({
    tokens: arbitrarySize(40),
    rows: arbitrarySize(150),
    // whole blocks (the fast decode) or anything (blocks straddle rows, odd widths)
    cols: fc.oneof(fc.constantFrom(0, 32, 64, 128, 192, 256, 448, 576), arbitrarySize(200)),
    blockSize: fc.constantFrom(...BLOCK_SIZES.slice(0, 4)),
    seed: arbitrarySeed,
    isNested: fc.boolean(),
    flag: fc.boolean(),
    computeDtype: fc.constantFrom(...computeDtypes),
    nestedOffset: fc.constantFrom(0, 0.0625),
  });

/** Several depth blocks and panel groups, also where blocks are longer than a row. */
const BLOCKS = [
  { tokens: 70, rows: 200, cols: 1088, blockSize: 64 },
  { tokens: 9, rows: 1030, cols: 192, blockSize: 64 },
  { tokens: 5, rows: 40, cols: 1024, blockSize: 4096 },
  { tokens: 1, rows: 130, cols: 2048, blockSize: 128 },
] as const;

/** In bf16, up to a few hundred rows: rows or weights are the columns of a tile. */
function* tileCalls() {
  const rows = 70;
  const bias = normalView(2, 'bias', [rows]);
  for (const cols of [192, 704]) {
    const weight = packedWeight(4, [rows, cols]);
    for (const tokens of [65, 96, 127, 128, 129, 200, 256, 257]) {
      const attributes = { rows, cols, blockSize: 64, nestedOffset: 0.03, computeDtype: 'bf16' as const };
      const inputs = { x: normalView(1, 'x', [tokens, cols]), bias, ...weight };
      yield {
        inputs,
        attributes,
        bound: magnitudeBound(matmulNf4, { inputs, attributes }, sumRoundings(cols)),
      };
    }
  }
}

function* forwardBlocks() {
  for (const { tokens, ...sizes } of BLOCKS) {
    const { rows, cols, blockSize } = sizes;
    const inputs = {
      x: normalView(1, 'x', [tokens, cols]),
      ...packedWeight(3, [rows, cols], { blockSize }),
    };
    const attributes = { ...sizes, nestedOffset: 0.03, computeDtype: 'f32' as const };
    yield {
      inputs,
      attributes,
      bound: magnitudeBound(matmulNf4, { inputs, attributes }, sumRoundings(cols)),
    };
  }
  yield* tileCalls();
}

function* gradientBlocks() {
  for (const { tokens, ...sizes } of BLOCKS) {
    const { rows, cols, blockSize } = sizes;
    const inputs = {
      dy: normalView(1, 'dy', [tokens, rows]),
      ...packedWeight(3, [rows, cols], { blockSize }),
    };
    const attributes = {
      ...sizes,
      nestedOffset: 0.03,
      computeDtype: 'f32' as const,
      accumulate: false,
    };
    yield {
      inputs,
      attributes,
      bound: magnitudeBound(matmulNf4InputGradient, { inputs, attributes }, sumRoundings(rows)),
    };
  }
}

const forwardCase = (setting: HalfSetting): ConformanceCase =>
  conformanceCase(matmulNf4, {
    title: 'for every size, block and kind of scale',
    parameters: parametersFor(setting),
    numRuns: 80,
    call: ({ tokens, rows, cols, blockSize, seed, isNested, flag, computeDtype, nestedOffset }) => {
      const inputs = {
        x: normalView(seed, 'x', [tokens, cols]),
        bias: flag ? normalView(seed, 'bias', [rows]) : undefined,
        ...packedWeight(seed, [rows, cols], { blockSize, nested: isNested }),
      };
      const attributes = { rows, cols, blockSize, nestedOffset, computeDtype };
      return {
        inputs,
        attributes,
        bound: magnitudeBound(matmulNf4, { inputs, attributes }, sumRoundings(cols)),
      };
    },
    ...(setting.half === 'bf16' && { edges: forwardBlocks }),
  });

const inputGradientCase = (setting: HalfSetting): ConformanceCase =>
  conformanceCase(matmulNf4InputGradient, {
    title: 'for every size, block and kind of scale, new and added to dx',
    parameters: parametersFor(setting),
    numRuns: 80,
    call: ({ tokens, rows, cols, blockSize, seed, isNested, flag, computeDtype, nestedOffset }) => {
      const inputs = {
        dy: normalView(seed, 'dy', [tokens, rows]),
        ...packedWeight(seed, [rows, cols], { blockSize, nested: isNested }),
      };
      const suppliedOutputs = flag ? { dx: normalView(seed, 'dx', [tokens, cols]) } : {};
      const attributes = { rows, cols, blockSize, nestedOffset, computeDtype, accumulate: flag };
      return {
        inputs,
        attributes,
        suppliedOutputs,
        bound: magnitudeBound(
          matmulNf4InputGradient,
          { inputs, attributes, suppliedOutputs },
          sumRoundings(rows),
        ),
      };
    },
    ...(setting.half === 'bf16' && { edges: gradientBlocks }),
  });

const tiledCase = ({ half }: HalfSetting): ConformanceCase =>
  conformanceCase(matmulNf4, {
    title: 'for few rows and a tiled matrix',
    parameters: fc.record({
      tokens: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 6, max: 40 })),
      bands: fc.integer({ min: 1, max: 5 }),
      runs: fc.integer({ min: 1, max: 40 }),
      seed: arbitrarySeed,
      doubleQuantization: fc.boolean(),
      hasBias: fc.boolean(),
    }),
    numRuns: 15,
    call: ({ tokens, bands, runs, seed, doubleQuantization, hasBias }) => {
      const [rows, cols] = [32 * bands, 64 * runs];
      const data = hostData(normalView(seed, 'w', [rows, cols]));
      const matrix = tileMatrix(quantizeNf4({ data, shape: [rows, cols] }, { doubleQuantization }));
      const inputs = {
        x: normalView(seed, 'x', [tokens, cols]),
        bias: hasBias ? normalView(seed, 'bias', [rows]) : undefined,
        ...quantizedInputs(matrix),
      };
      const attributes = { ...quantizedAttributes(matrix), computeDtype: half };
      return {
        inputs,
        attributes,
        bound: magnitudeBound(
          matmulNf4,
          { inputs, attributes },
          (2 * OPERAND_ROUNDING[half]) / EPSILON + cols + 8,
        ),
      };
    },
  });

export const matmulNf4Cases = forHalves((setting) => [
  forwardCase(setting),
  inputGradientCase(setting),
  tiledCase(setting),
]);
