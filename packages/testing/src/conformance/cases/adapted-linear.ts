import { hostData } from '@qdylora/contract';
import { adaptedLinear, adaptedLinearBackward } from '@qdylora/lora-dynamic';
import { quantizedAttributes, quantizedInputs, quantizeNf4, tileMatrix } from '@qdylora/quant';
import fc from 'fast-check';
import { packedWeight } from '../../arbitraries/packed-weight.ts';
import {
  adaptedAttributes,
  adaptedBound,
  arbitraryCuts,
  baseOf,
  basesIn,
  partsOf,
  uOf,
} from '../adapted-operands.ts';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves, type ConformanceCase, type HalfSetting } from '../conformance-case.ts';
import { EPSILON, magnitudeBound, OPERAND_ROUNDING } from '../tolerance.ts';

const sizesFor = ({ half, computeDtypes }: HalfSetting) => ({
  tokens: arbitrarySize(40),
  rows: arbitrarySize(100),
  cols: fc.oneof(fc.constantFrom(0, 64, 128, 192), arbitrarySize(120)),
  r: arbitrarySize(33),
  base: fc.constantFrom(...basesIn(half)),
  seed: arbitrarySeed,
  computeDtype: fc.constantFrom(...computeDtypes),
  isDropped: fc.boolean(),
  cuts: arbitraryCuts(),
});

const forwardParameters = (setting: HalfSetting) =>
  fc.record({ ...sizesFor(setting), hasBias: fc.boolean() });
type ForwardParameters = ReturnType<typeof forwardParameters> extends fc.Arbitrary<infer P> ? P : never;

/** u is a sum of `cols` products, and y one more of r products of it, each also scaled. */
function forwardCall({ tokens, rows, cols, r, base, seed, ...rest }: ForwardParameters, wantsY: boolean) {
  const inputs = {
    ...baseOf(base, seed, rows, cols),
    x: normalView(seed, 'x', [tokens, cols]),
    xAdapter: rest.isDropped ? normalView(seed, 'xa', [tokens, cols]) : undefined,
    bias: rest.hasBias ? normalView(seed, 'bias', [rows]) : undefined,
    a: normalView(seed, 'a', [r, cols]),
    b: normalView(seed, 'b', [r, rows]),
  };
  const attributes = {
    ...adaptedAttributes(base, rows, cols, rest.computeDtype),
    parts: partsOf(rest.cuts, tokens, r),
    ...(!wantsY && { wantsY }),
  };
  const roundings = cols + (wantsY ? r : 0) + 6;
  return { inputs, attributes, bound: adaptedBound(adaptedLinear, { inputs, attributes }, roundings) };
}

/**
 * Several row blocks, depth blocks and groups. In tiles weights are the rows of a product of 250 rows, two
 * threads share the columns of 1,100, and keep to rows of their own of 1,700, which are two blocks.
 */
const BLOCKS = [
  { computeDtype: 'bf16', tokens: 250, rows: 70 },
  { computeDtype: 'f32', tokens: 1100, rows: 150 },
  { computeDtype: 'bf16', tokens: 1100, rows: 150 },
  { computeDtype: 'bf16', tokens: 1700, rows: 70 },
] as const;

/** Operands of a doubly quantized layer. */
function blockOperands(tokens: number, rows: number, cols: number, r: number) {
  return {
    ...packedWeight(1, [rows, cols]),
    x: normalView(1, 'x', [tokens, cols]),
    a: normalView(1, 'a', [r, cols]),
    b: normalView(1, 'b', [r, rows]),
  };
}

function blockSetting({ computeDtype: dtype, tokens, rows }: (typeof BLOCKS)[number]) {
  const [cols, r] = [704, 8];
  const parts = [
    { until: Math.min(517, tokens - 100), rank: 3, trainFrom: 0, factor: 2 },
    { until: tokens, rank: r, trainFrom: 4, factor: 1 },
  ];
  return {
    cols,
    r,
    parts,
    inputs: blockOperands(tokens, rows, cols, r),
    attributes: { ...adaptedAttributes('nested', rows, cols, dtype), parts },
  };
}

function* forwardBlocks() {
  for (const block of BLOCKS) {
    const { inputs, attributes, cols, r } = blockSetting(block);
    yield {
      inputs,
      attributes,
      bound: adaptedBound(adaptedLinear, { inputs, attributes }, cols + r + 6),
    };
  }
}

function* backwardBlocks() {
  for (const block of BLOCKS) {
    const { tokens, rows } = block;
    const { inputs: operands, attributes: forward, cols, r, parts } = blockSetting(block);
    const call = {
      inputs: { ...operands, dy: normalView(1, 'dy', [tokens, rows]), u: uOf(1, tokens, r, parts) },
      attributes: { ...forward, accumulate: false, trainFrom: 0, wantsDx: true },
      suppliedOutputs: { da: normalView(1, 'da', [r, cols]), db: normalView(1, 'db', [r, rows]) },
    };
    yield { ...call, bound: adaptedBound(adaptedLinearBackward, call, rows + tokens + r + 6) };
  }
}

/** u is as large as a C that goes past the caches. */
const LARGE_U = { tokens: 4200, rows: 40, cols: 64, r: 64 } as const;

function largeUForward() {
  const { tokens, rows, cols, r } = LARGE_U;
  const inputs = blockOperands(tokens, rows, cols, r);
  const attributes = adaptedAttributes('nested', rows, cols, 'bf16');
  return { inputs, attributes, bound: adaptedBound(adaptedLinear, { inputs, attributes }, cols + r + 6) };
}

function largeUBackward() {
  const { tokens, rows, cols, r } = LARGE_U;
  const call = {
    inputs: {
      ...blockOperands(tokens, rows, cols, r),
      dy: normalView(1, 'dy', [tokens, rows]),
      u: normalView(1, 'u', [tokens, r]),
    },
    attributes: {
      ...adaptedAttributes('nested', rows, cols, 'bf16'),
      accumulate: false,
      trainFrom: 0,
      wantsDx: true,
    },
  };
  return { ...call, bound: adaptedBound(adaptedLinearBackward, call, rows + tokens + r + 6) };
}

const forwardCase = (setting: HalfSetting): ConformanceCase =>
  conformanceCase(adaptedLinear, {
    title: 'for a dense or packed base, with or without dropout, at any rank',
    parameters: forwardParameters(setting),
    numRuns: 80,
    call: (parameters) => forwardCall(parameters, true),
    ...(setting.half === 'bf16' && { edges: forwardBlocks }),
  });

const innerCase = (setting: HalfSetting): ConformanceCase =>
  conformanceCase(adaptedLinear, {
    title: 'where only u is wanted',
    parameters: forwardParameters(setting),
    numRuns: 80,
    call: (parameters) => forwardCall(parameters, false),
  });

const tiledCase = ({ half }: HalfSetting): ConformanceCase =>
  conformanceCase(adaptedLinear, {
    title: 'for few rows and a tiled matrix',
    parameters: fc.record({
      tokens: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 6, max: 40 })),
      bands: fc.integer({ min: 1, max: 5 }),
      runs: fc.integer({ min: 1, max: 40 }),
      r: arbitrarySize(9),
      seed: arbitrarySeed,
      doubleQuantization: fc.boolean(),
      hasBias: fc.boolean(),
    }),
    numRuns: 15,
    call: ({ tokens, bands, runs, r, seed, doubleQuantization, hasBias }) => {
      const [rows, cols] = [32 * bands, 64 * runs];
      const data = hostData(normalView(seed, 'w', [rows, cols]));
      const matrix = tileMatrix(quantizeNf4({ data, shape: [rows, cols] }, { doubleQuantization }));
      const inputs = {
        ...quantizedInputs(matrix),
        x: normalView(seed, 'x', [tokens, cols]),
        bias: hasBias ? normalView(seed, 'bias', [rows]) : undefined,
        a: normalView(seed, 'a', [r, cols]),
        b: normalView(seed, 'b', [r, rows]),
      };
      const attributes = { ...quantizedAttributes(matrix), computeDtype: half, scale: 0.5 };
      // For up to 32 rows a backend may round the sixteen levels in place of level · scale. Either is within
      // one rounding of the exact weight, so the two are within two roundings of each other.
      const roundings = (2 * OPERAND_ROUNDING[half]) / EPSILON + cols + r + 8;
      return { inputs, attributes, bound: magnitudeBound(adaptedLinear, { inputs, attributes }, roundings) };
    },
  });

const backwardCase = (setting: HalfSetting): ConformanceCase =>
  conformanceCase(adaptedLinearBackward, {
    title: 'output by output: dx or none, gradients of the adapter or none',
    parameters: fc.record({
      ...sizesFor(setting),
      from: fc.integer({ min: 0, max: 33 }),
      accumulate: fc.boolean(),
      wantsDx: fc.boolean(),
      wantsGradients: fc.boolean(),
    }),
    numRuns: 80,
    call: ({ tokens, rows, cols, r, base, seed, from, wantsDx, wantsGradients, accumulate, ...rest }) => {
      const trainFrom = Math.min(from, r);
      const trained = r - trainFrom;
      const parts = partsOf(rest.cuts, tokens, r, trainFrom);
      const call = {
        inputs: {
          ...baseOf(base, seed, rows, cols),
          dy: normalView(seed, 'dy', [tokens, rows]),
          x: wantsDx && !wantsGradients ? undefined : normalView(seed, 'x', [tokens, cols]),
          xAdapter: rest.isDropped ? normalView(seed, 'xa', [tokens, cols]) : undefined,
          u: uOf(seed, tokens, r, parts),
          a: normalView(seed, 'a', [r, cols]),
          b: normalView(seed, 'b', [r, rows]),
        },
        attributes: {
          ...adaptedAttributes(base, rows, cols, rest.computeDtype),
          accumulate,
          trainFrom,
          wantsDx,
          parts,
        },
        suppliedOutputs: {
          ...(accumulate && wantsDx && { dx: normalView(seed, 'dx', [tokens, cols]) }),
          ...(wantsGradients && {
            da: normalView(seed, 'da', [trained, cols]),
            db: normalView(seed, 'db', [trained, rows]),
          }),
        },
      };
      return { ...call, bound: adaptedBound(adaptedLinearBackward, call, rows + r + tokens + 6) };
    },
    ...(setting.half === 'bf16' && { edges: backwardBlocks }),
  });

export const adaptedLinearCases = [
  ...forHalves((setting) => [
    forwardCase(setting),
    innerCase(setting),
    tiledCase(setting),
    backwardCase(setting),
  ]),
  conformanceCase(adaptedLinear, {
    title: 'where u is as large as y',
    needs: 'large',
    edges: () => [largeUForward()],
  }),
  conformanceCase(adaptedLinearBackward, {
    title: 'where u is as large as dx',
    needs: 'large',
    edges: () => [largeUBackward()],
  }),
];
