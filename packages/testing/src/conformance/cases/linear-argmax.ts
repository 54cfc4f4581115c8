import {
  createHostBackend,
  f32View,
  hostData,
  runOp,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import { linear, linearArgmax, quantizeRows, type ComputeDtype } from '@qdylora/tensor';
import fc from 'fast-check';
import {
  arbitrarySeed,
  arbitrarySize,
  normalBfloat16View,
  normalFloatView,
  normalView,
} from '../arbitraries.ts';
import { numbersOf } from '../compare.ts';
import { conformanceCase, forHalves, type HalfSetting } from '../conformance-case.ts';
import { EPSILON } from '../tolerance.ts';

export interface Head {
  /** x: [tokens, inFeatures] */
  readonly x: ArrayView<'f32'>;
  /** weight: [out, inFeatures] */
  readonly weight: FloatView;
  readonly computeDtype: ComputeDtype;
}

const host = createHostBackend();

/** Heads of every size, with weights in float32 and in two bytes. */
export const arbitraryHeadIn = ({ half, computeDtypes }: HalfSetting): fc.Arbitrary<Head> =>
  fc
    .record({
      tokens: fc.constantFrom(1, 1, 2, 3),
      out: arbitrarySize(400).map((n) => Math.max(n, 1)),
      inFeatures: arbitrarySize(300),
      seed: arbitrarySeed,
      isHalf: fc.boolean(),
      computeDtype: fc.constantFrom(...computeDtypes),
    })
    .map(({ tokens, out, inFeatures, seed, isHalf, computeDtype }) => ({
      x: normalView(seed, 'x', [tokens, inFeatures]),
      weight: normalFloatView(isHalf ? half : 'f32', seed, 'w', [out, inFeatures]),
      computeDtype,
    }));

/** Heads with bfloat16. */
export const arbitraryHead = arbitraryHeadIn({ half: 'bf16', computeDtypes: ['f32', 'bf16'] });

/** Several threads share it. */
const sharedHead = (): Head => ({
  x: normalView(9, 'x', [1, 576]),
  weight: normalBfloat16View(9, 'w', [1501, 576]),
  computeDtype: 'bf16',
});

/** Rows that differ by `apart`, far below what an 8-bit code can tell apart. */
export const arbitraryNearTies: fc.Arbitrary<Head> = fc
  .record({
    seed: arbitrarySeed,
    out: fc.integer({ min: 2, max: 200 }),
    inFeatures: fc.integer({ min: 1, max: 100 }),
    apart: fc.constantFrom(0, 1e-6, 1e-4),
  })
  .map(({ seed, out, inFeatures, apart }) => {
    const weight = normalView(seed, 'w', [out, inFeatures]);
    const rows = hostData(weight);
    const noise = hostData(normalView(seed, 'noise', [out, inFeatures], apart));
    for (let i = inFeatures; i < out * inFeatures; i++) rows[i] = rows[i % inFeatures] + noise[i];
    for (let i = 0; i < inFeatures; i++) rows[i] = rows[i] + noise[i];
    return { x: normalView(seed, 'x', [1, inFeatures]), weight, computeDtype: 'f32' };
  });

/** Outliers in x and in a row, which make the bounds of codes wide. */
export const arbitraryOutliers: fc.Arbitrary<Head> = fc
  .record({
    seed: arbitrarySeed,
    outlier: fc.constantFrom(30, 1e4),
    computeDtype: fc.constantFrom<ComputeDtype>('f32', 'bf16'),
  })
  .map(({ seed, outlier, computeDtype }) => {
    const x = normalView(seed, 'x', [2, 96]);
    const weight = normalBfloat16View(seed, 'w', [300, 96]);
    hostData(x)[5] = outlier;
    hostData(weight)[7 * 96 + 9] = hostData(weight)[7 * 96 + 9] + 0x300; // 64 times as large
    return { x, weight, computeDtype };
  });

/** The largest |entry| of row `row`. */
function largestOf(view: ArrayView, row: number): number {
  const width = view.shape[1];
  return Array.from(numbersOf(view))
    .slice(row * width, (row + 1) * width)
    .reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/**
 * Several rows may be right where products nearly tie: the row named must have a product within two bounds of
 * the greatest, and the logit is its own product, within the bound of a sum of `inFeatures` products.
 */
function callOf({ x, weight, computeDtype }: Head, withCodes: boolean) {
  const [out, inFeatures] = weight.shape as [number, number];
  const products = numbersOf(runOp(host, linear, { x, weight }, { computeDtype }).y);
  return {
    inputs: { x, weight, ...(withCodes && runOp(host, quantizeRows, { weight }, {})) },
    attributes: { computeDtype },
    bound: () => 0,
    problemOf({ ids, logits }: Answer, expected: Answer) {
      for (let token = 0; token < x.shape[0]; token++) {
        const id = hostData(ids)[token];
        if (!(id >= 0 && id < out)) return `token ${token}: id ${id} is not one of ${out} rows`;
        const product = products[token * out + id];
        const bound =
          1.01 * (inFeatures + 3) * EPSILON * inFeatures * largestOf(x, token) * largestOf(weight, id);
        const logit = hostData(logits)[token];
        if (!(Math.abs(logit - product) <= bound))
          return `token ${token}: logit ${logit}, but the product of row ${id} is ${product} ± ${bound}`;
        const greatest = hostData(expected.logits)[token];
        if (!(product >= greatest - 2 * bound - 2 * EPSILON * Math.abs(product)))
          return `token ${token}: row ${id} has the product ${product}, but the greatest is ${greatest}`;
      }
      return null;
    },
  };
}

interface Answer {
  readonly ids: ArrayView<'i32'>;
  readonly logits: ArrayView<'f32'>;
}

const ways = [
  ['without codes', false],
  ['with codes', true],
] as const;

export const linearArgmaxCases = ways.flatMap(([title, withCodes]) => [
  ...forHalves((setting) => [
    conformanceCase(linearArgmax, {
      title: `${title}, for every size and dtype`,
      parameters: arbitraryHeadIn(setting),
      numRuns: 60,
      call: (head) => callOf(head, withCodes),
      edges: () => (setting.half === 'f16' ? [] : [callOf(sharedHead(), withCodes)]),
    }),
  ]),
  conformanceCase(linearArgmax, {
    title: `${title}, where rows nearly tie`,
    parameters: arbitraryNearTies,
    numRuns: 30,
    call: (head) => callOf(head, withCodes),
  }),
  conformanceCase(linearArgmax, {
    title: `${title}, for outliers`,
    parameters: arbitraryOutliers,
    numRuns: 16,
    call: (head) => callOf(head, withCodes),
  }),
  conformanceCase(linearArgmax, {
    title: `${title}, where products are equal, infinite or NaN`,
    *edges() {
      for (const { x, weight } of [...notFiniteHeads(), ...tiedHeads()]) {
        const codes = withCodes ? runOp(host, quantizeRows, { weight }, {}) : {};
        yield {
          inputs: { x, weight, ...codes },
          attributes: { computeDtype: 'f32' as const },
          bound: () => 0,
          problemOf: ({ ids }, expected) =>
            hostData(ids).join() === hostData(expected.ids).join()
              ? null
              : `rows ${hostData(ids).join()} in place of ${hostData(expected.ids).join()}`,
        };
      }
    },
  }),
]);

/**
 * Products that are weights, many of them equal or NaN, in rows of more columns than a block has threads: the
 * first of equals may be the second column of one thread, or the first one of another.
 */
function* tiedHeads() {
  const places = [1, 2, 4, 8, 16, 32, 64, 96, 128, 160, 192, 224];
  const patterns = [
    () => 1,
    (row: number) => -row,
    (row: number) => (row * 7) % 5,
    ...places.map((place) => (row: number) => (row === place || row === 256 ? 1 : 0)),
  ];
  // x picks a pattern for each token
  yield {
    x: f32View(
      [patterns.length, patterns.length],
      patterns.flatMap((_, t) => patterns.map((__, k) => (t === k ? 1 : 0))),
    ),
    weight: weightOf(270, patterns),
  };
  const one = f32View([1, 1], [1]);
  for (const isNumber of [() => false, (row: number) => row === 256, (row: number) => row % 100 === 69])
    yield { x: one, weight: weightOf(270, [(row) => (isNumber(row) ? 2 : NaN)]) };
  yield { x: one, weight: weightOf(150, [(row) => (row % 3 === 0 ? NaN : row % 50)]) };
}

/** weight: [out, patterns], a column of each pattern */
const weightOf = (out: number, patterns: readonly ((row: number) => number)[]) =>
  f32View(
    [out, patterns.length],
    Array.from({ length: out }, (_, row) => patterns.map((pattern) => pattern(row))).flat(),
  );

/** NaN is never the greatest, infinity may be; where no product is a number the answer is row 0. */
function* notFiniteHeads() {
  for (const [place, value] of [
    [0, NaN],
    [40, NaN],
    [40, Infinity],
    [40, -Infinity],
  ] as const) {
    const weight = normalView(4, 'w', [9, 20]);
    hostData(weight)[place] = value;
    yield { x: normalView(4, 'x', [1, 20]), weight };
  }
  for (const value of [NaN, Infinity, 0]) {
    const x = normalView(5, 'x', [1, 20]);
    if (value === 0) hostData(x).fill(0);
    else hostData(x)[3] = value;
    yield { x, weight: normalView(5, 'w', [9, 20]) };
  }
}
