import {
  createHostBackend,
  f32View,
  hostData,
  i32View,
  runOp,
  type ArrayView,
  type HalfDType,
} from '@qdylora/contract';
import { causalAttention, causalAttentionBackward, type AttentionAttributes } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves } from '../conformance-case.ts';
import { EPSILON, OPERAND_ROUNDING, SMALLEST_STEP, type Bound } from '../tolerance.ts';

/** Of one segment. */
export interface SegmentLengths {
  readonly queries: number;
  readonly keys: number;
}

type AttentionInputs = ReturnType<typeof attentionInputs>;

/** Ends of segments: [segments + 1], from 0. */
const endsOf = (lengths: readonly number[]): ArrayView<'i32'> =>
  i32View(
    [lengths.length + 1],
    lengths.reduce<number[]>((ends, length) => [...ends, ends.at(-1)! + length], [0]),
  );

/**
 * q: [queries, heads · headDim]; k, v: [keys, kvHeads · headDim]. Half of the slopes as steep as Falcon's.
 */
export function attentionInputs(
  seed: number,
  segments: readonly SegmentLengths[],
  { heads, kvHeads, headDim }: AttentionAttributes,
  hasSlopes = false,
) {
  const querySegments = endsOf(segments.map(({ queries }) => queries));
  const keySegments = endsOf(segments.map(({ keys }) => keys));
  const queries = hostData(querySegments).at(-1)!;
  const keys = hostData(keySegments).at(-1)!;
  const slopeOf = (_: unknown, head: number) => (head % 2 ? 0.5 : 0.01 * (head + 1));
  return {
    q: normalView(seed, 'q', [queries, heads * headDim]),
    k: normalView(seed, 'k', [keys, kvHeads * headDim]),
    v: normalView(seed, 'v', [keys, kvHeads * headDim]),
    querySegments,
    keySegments,
    alibiSlopes: hasSlopes ? f32View([heads], Array.from({ length: heads }, slopeOf)) : undefined,
  };
}

export const attentionAttributes = (
  attributes: Partial<AttentionAttributes> & Pick<AttentionAttributes, 'heads' | 'kvHeads' | 'headDim'>,
): AttentionAttributes => ({
  window: 0,
  scale: 1 / Math.sqrt(attributes.headDim),
  softCap: 0,
  computeDtype: 'f32',
  ...attributes,
});

/**
 * A score is a sum of headDim products: off by ≤ headDim·ε·Σ|q·k|·scale, about headDim^½·ε·(typical score)
 * since the signs are mixed; with |score| ≲ 6 for normal numbers and scale 1/√headDim we allow (headDim +
 * 8)·6·ε. The cap shrinks an error and adds 3 ulp and two roundings of a number below softCap: 8·ε·softCap.
 * ALiBi adds two roundings of a number that is at most slope · keys, and the sum one more.
 */
function scoreError({ k, alibiSlopes }: AttentionInputs, attributes: AttentionAttributes): number {
  const { headDim, scale, softCap } = attributes;
  const steepest = alibiSlopes ? Math.max(...hostData(alibiSlopes)) : 0;
  return (
    ((headDim + 8) * 6 * Math.max(1, scale * Math.sqrt(headDim)) + 8 * softCap + 4 * steepest * k.shape[0]) *
    EPSILON
  );
}

/**
 * Products of rounded q and k are exact in float32, so scores are as good as ever; a weight is rounded by
 * both sides, each on a scale of its own.
 */
const weightError = (inputs: AttentionInputs, attributes: AttentionAttributes): number =>
  2 * scoreError(inputs, attributes) +
  (attributes.computeDtype === 'f32' ? 0 : 2 * OPERAND_ROUNDING[attributes.computeDtype]);

/**
 * exp turns the error S of a score into a relative one of each weight; y is a mean of v under such weights
 * plus a sum of up to `keys` terms in tiles of 64: ≤ (2·S + (keys + 70)·ε)·max|v|, and logSumExp is off by ≤
 * S and a few roundings. Each weight may be off by the smallest step of its type as well.
 */
function forwardBound(inputs: AttentionInputs, attributes: AttentionAttributes): Bound {
  const keys = inputs.k.shape[0];
  const largest = hostData(inputs.v).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const score = scoreError(inputs, attributes);
  const weight = weightError(inputs, attributes) + keys * SMALLEST_STEP[attributes.computeDtype];
  return (name, _, want) =>
    name === 'y'
      ? (weight + (keys + 70) * EPSILON) * largest
      : score + (keys + 70) * EPSILON + 4 * EPSILON * Math.abs(want);
}

export interface AttentionSetting {
  readonly seed: number;
  readonly segments: readonly SegmentLengths[];
  readonly attributes: AttentionAttributes;
  readonly hasSlopes?: boolean;
}

export function forwardCall({ seed, segments, attributes, hasSlopes }: AttentionSetting) {
  const inputs = attentionInputs(seed, segments, attributes, hasSlopes);
  return { inputs, attributes, bound: forwardBound(inputs, attributes) };
}

/**
 * Backward inputs come from the reference's own forward. Every gradient is a sum of ≤ n terms p·(…); p and
 * the slope of the cap are off by the score's error S (above) relatively, the sums by n roundings of terms
 * and n of the smallest steps.
 */
export function backwardCall({ seed, segments, attributes, hasSlopes }: AttentionSetting) {
  const forward = attentionInputs(seed, segments, attributes, hasSlopes);
  const { y, logSumExp } = runOp(createHostBackend(), causalAttention, forward, attributes);
  const inputs = { ...forward, y, logSumExp, dy: normalView(seed, 'dy', y.shape) };
  const { heads, kvHeads, headDim } = attributes;
  const terms = Math.max(forward.q.shape[0] * (heads / kvHeads), forward.k.shape[0]);
  const relative =
    weightError(forward, attributes) +
    (2 * headDim + terms + 70) * EPSILON +
    terms * SMALLEST_STEP[attributes.computeDtype];
  const size = 6 * Math.sqrt(headDim); // |dy·v − dy·y|, |q|, |k|, |dy| are within about 6·√headDim and 6
  return { inputs, attributes, bound: () => relative * size * 4 };
}

/** One to three segments of queries with the keys before them. */
const arbitrarySegments = (edges: readonly number[], least: number) =>
  fc.array(
    fc
      .tuple(
        fc.oneof(fc.constantFrom(...edges), fc.integer({ min: least, max: 90 })),
        fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 150 })),
      )
      .map(([queries, earlier]) => ({ queries, keys: queries + earlier })),
    { minLength: 1, maxLength: 3 },
  );

const arbitrarySetting = (
  segments: fc.Arbitrary<SegmentLengths[]>,
  computeDtype: AttentionAttributes['computeDtype'],
): fc.Arbitrary<AttentionSetting> =>
  fc.record({
    segments,
    attributes: fc
      .record({
        kvHeads: fc.integer({ min: 1, max: 3 }),
        group: fc.integer({ min: 1, max: 3 }),
        headDim: fc.constantFrom(1, 3, 8, 15, 16, 17, 24, 33),
        window: fc.constantFrom(0, 0, 1, 5, 64, 100),
        softCap: fc.constantFrom(0, 0, 0.7, 50),
      })
      .map(({ group, ...sizes }) =>
        attentionAttributes({ ...sizes, heads: sizes.kvHeads * group, computeDtype }),
      ),
    hasSlopes: fc.boolean(),
    seed: arbitrarySeed,
  });

const inFloat32 = arbitrarySetting(arbitrarySegments([0, 1, 2, 63, 64, 65], 0), 'f32');
const inTwoBytes = (half: HalfDType) => arbitrarySetting(arbitrarySegments([0, 9, 31, 64, 65], 9), half);

/** Few queries against many keys, cut into chunks: [queries, keys, heads, kvHeads, headDim, window, cap]. */
const DECODING = [
  [1, 2000, 3, 1, 16, 0, 0],
  [2, 1100, 4, 2, 8, 0, 2],
  [1, 1025, 8, 1, 24, 700, 0],
  [5, 1536, 6, 3, 9, 0, 0],
  [1, 1024, 2, 2, 64, 0, 50],
  [1, 1600, 10, 1, 8, 0, 0],
  [3, 700, 2, 1, 5, 90, 0.5],
] as const;

const decodingSettings = (): AttentionSetting[] =>
  DECODING.flatMap(([queries, keys, heads, kvHeads, headDim, window, softCap]) =>
    [false, true].map((hasSlopes) => ({
      seed: queries + keys,
      segments: [
        { queries, keys },
        { queries: 1, keys: 3 },
      ],
      attributes: attentionAttributes({ heads, kvHeads, headDim, window, softCap }),
      hasSlopes,
    })),
  );

/** Head sizes 32 to 256. */
const headSizeSettings = (computeDtype: AttentionAttributes['computeDtype']): AttentionSetting[] =>
  [32, 64, 80, 96, 128, 256].map((headDim) => ({
    seed: headDim,
    segments: [{ queries: 70, keys: 70 }],
    attributes: attentionAttributes({
      heads: 2,
      kvHeads: 1,
      headDim,
      softCap: headDim === 256 ? 50 : 0,
      computeDtype,
    }),
    hasSlopes: headDim === 64,
  }));

/** A single tile of queries against many keys. */
const manyKeys: AttentionSetting = {
  seed: 1,
  segments: [
    { queries: 5, keys: 1603 },
    { queries: 6, keys: 1101 },
  ],
  attributes: attentionAttributes({ heads: 5, kvHeads: 1, headDim: 16, computeDtype: 'bf16' }),
};

/** A long segment is cut into chunks of columns (16 tiles and more of 64), whose gradients add up. */
const longSegments: AttentionSetting[] = [
  {
    seed: 7,
    segments: [{ queries: 300, keys: 300 }],
    attributes: attentionAttributes({ heads: 4, kvHeads: 1, headDim: 16 }),
    hasSlopes: true,
  },
  {
    seed: 8,
    segments: [{ queries: 520, keys: 530 }],
    attributes: attentionAttributes({ heads: 2, kvHeads: 1, headDim: 8, window: 100, softCap: 1 }),
  },
];
const longSegmentInBfloat16: AttentionSetting = {
  seed: 9,
  segments: [{ queries: 400, keys: 400 }],
  attributes: attentionAttributes({
    heads: 8,
    kvHeads: 2,
    headDim: 16,
    window: 70,
    computeDtype: 'bf16',
  }),
};

const VARIETY = 'for packed segments, grouped heads, windows, soft caps, ALiBi and odd head sizes';

export const causalAttentionCases = [
  conformanceCase(causalAttention, {
    title: VARIETY,
    parameters: inFloat32,
    numRuns: 25,
    call: forwardCall,
    edges: () => [...decodingSettings(), ...headSizeSettings('f32')].map(forwardCall),
  }),
  conformanceCase(causalAttentionBackward, {
    title: VARIETY,
    parameters: inFloat32,
    numRuns: 15,
    call: backwardCall,
    edges: () => [...headSizeSettings('f32'), ...longSegments].map(backwardCall),
  }),
  ...forHalves(({ half }) => [
    conformanceCase(causalAttention, {
      title: `in ${half}, ${VARIETY}`,
      needs: 'bf16 attention',
      parameters: inTwoBytes(half),
      numRuns: 20,
      call: forwardCall,
      edges: () => [...headSizeSettings(half), ...(half === 'f16' ? [] : [manyKeys])].map(forwardCall),
    }),
    conformanceCase(causalAttentionBackward, {
      title: `in ${half}, ${VARIETY}`,
      needs: 'bf16 attention',
      parameters: inTwoBytes(half),
      numRuns: 20,
      call: backwardCall,
      edges: () =>
        [...headSizeSettings(half), ...(half === 'f16' ? [] : [longSegmentInBfloat16])].map(backwardCall),
    }),
  ]),
];
