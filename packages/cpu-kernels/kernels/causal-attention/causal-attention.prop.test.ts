import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createHostBackend, f32View, i32View, runOp, type ArrayView } from '@qdylora/contract';
import { causalAttention, causalAttentionBackward, type AttentionAttributes } from '@qdylora/tensor';
import { arbitrarySeed, checkKernel, EPSILON, normalView, type Bound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
/**
 * The levels that multiply bf16 numbers in pairs; the others compute attention in float32 whatever they are
 * asked for.
 */
const pairLevels = levels.filter(({ label }) =>
  ['avx512_bf16', 'amx_bf16', 'avx2w16', 'avx2_tiles'].includes(label),
);
const otherLevels = levels.filter((level) => !pairLevels.includes(level));
const prefix = (sizes: readonly number[]): ArrayView<'i32'> =>
  i32View(
    [sizes.length + 1],
    sizes.reduce<number[]>((ends, size) => [...ends, ends.at(-1)! + size], [0]),
  );

interface Lengths {
  readonly queries: number;
  readonly keys: number;
}
type Inputs = ReturnType<typeof inputsOf>;
/** `slopes`: with ALiBi, half of them as steep as Falcon's steepest. */
function inputsOf(
  seed: number,
  segments: readonly Lengths[],
  { heads, kvHeads, headDim }: AttentionAttributes,
  slopes = false,
) {
  const querySegments = prefix(segments.map(({ queries }) => queries));
  const keySegments = prefix(segments.map(({ keys }) => keys));
  const queries = hostData(querySegments).at(-1)!;
  const keys = hostData(keySegments).at(-1)!;
  return {
    q: normalView(seed, 'q', [queries, heads * headDim]),
    k: normalView(seed, 'k', [keys, kvHeads * headDim]),
    v: normalView(seed, 'v', [keys, kvHeads * headDim]),
    querySegments,
    keySegments,
    alibiSlopes: slopes
      ? f32View(
          [heads],
          Array.from({ length: heads }, (_, head) => (head % 2 ? 0.5 : 0.01 * (head + 1))),
        )
      : undefined,
  };
}

const attributesOf = (
  some: Partial<AttentionAttributes> & Pick<AttentionAttributes, 'heads' | 'kvHeads' | 'headDim'>,
): AttentionAttributes => ({
  window: 0,
  scale: 1 / Math.sqrt(some.headDim),
  softCap: 0,
  computeDtype: 'f32',
  ...some,
});

/**
 * A score is a sum of headDim products: off by ≤ headDim·ε·Σ|q·k|·scale, about headDim^½·ε·(typical score)
 * since the signs are mixed; with |score| ≲ 6 for normal numbers and scale 1/√headDim we allow (headDim +
 * 8)·6·ε. The cap shrinks an error and adds 3 ulp and two roundings of a number below softCap: 8·ε·softCap.
 * ALiBi adds two roundings of a number that is at most slope · keys, and the sum one more.
 */
function scoreError({ k, alibiSlopes }: Inputs, { headDim, scale, softCap }: AttentionAttributes): number {
  const steepest = alibiSlopes ? Math.max(...hostData(alibiSlopes)) : 0;
  return (
    ((headDim + 8) * 6 * Math.max(1, scale * Math.sqrt(headDim)) + 8 * softCap + 4 * steepest * k.shape[0]!) *
    EPSILON
  );
}

/**
 * Half a unit in the last of bf16's 8 bits. Products of rounded q and k are exact in float32, so scores are
 * as good as ever; a weight is rounded by both sides, each on a scale of its own.
 */
const BF16_ROUNDING = 2 ** -8;
const weightError = (inputs: Inputs, attributes: AttentionAttributes): number =>
  2 * scoreError(inputs, attributes) + (attributes.computeDtype === 'bf16' ? 2 * BF16_ROUNDING : 0);

/**
 * exp turns the error S of a score into a relative one of each weight; y is a mean of v under such weights
 * plus a sum of up to `keys` terms in tiles of 64: ≤ (2·S + (keys + 70)·ε)·max|v|, and logSumExp is off by ≤
 * S and a few roundings.
 */
function forwardBound(inputs: Inputs, attributes: AttentionAttributes): Bound {
  const keys = inputs.k.shape[0]!;
  const largest = hostData(inputs.v).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const score = scoreError(inputs, attributes);
  return (name, _, want) =>
    name === 'y'
      ? (weightError(inputs, attributes) + (keys + 70) * EPSILON) * largest
      : score + (keys + 70) * EPSILON + 4 * EPSILON * Math.abs(want);
}

const arbitraryLengths = fc.array(
  fc
    .tuple(
      fc.oneof(fc.constantFrom(0, 1, 2, 63, 64, 65), fc.integer({ min: 0, max: 90 })),
      fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 150 })),
    )
    .map(([queries, more]) => ({ queries, keys: queries + more })),
  { minLength: 1, maxLength: 3 },
);
const arbitraryAttributes = fc
  .record({
    kvHeads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 3 }),
    headDim: fc.constantFrom(1, 3, 8, 15, 16, 17, 24, 33),
    window: fc.constantFrom(0, 0, 1, 5, 64, 100),
    softCap: fc.constantFrom(0, 0, 0.7, 50),
  })
  .map(({ group, ...rest }) => attributesOf({ ...rest, heads: rest.kvHeads * group }));

test(
  'attention agrees with its reference for packed segments, grouped heads, windows, soft caps, ALiBi ' +
    'and odd head sizes',
  () => {
    fc.assert(
      fc.property(
        arbitraryLengths,
        arbitraryAttributes,
        fc.boolean(),
        arbitrarySeed,
        (segments, attributes, slopes, seed) => {
          const inputs = inputsOf(seed, segments, attributes, slopes);
          checkKernel(causalAttention, levels, {
            inputs,
            attributes,
            bound: forwardBound(inputs, attributes),
          });
        },
      ),
      { numRuns: 25 },
    );
  },
);

test('decoding: few queries against many keys, cut into chunks, agree too', () => {
  for (const [queries, keys, heads, kvHeads, headDim, window, softCap] of [
    [1, 2000, 3, 1, 16, 0, 0],
    [2, 1100, 4, 2, 8, 0, 2],
    [1, 1025, 8, 1, 24, 700, 0],
    [5, 1536, 6, 3, 9, 0, 0],
    [1, 1024, 2, 2, 64, 0, 50],
    [1, 1600, 10, 1, 8, 0, 0],
    [3, 700, 2, 1, 5, 90, 0.5],
  ] as const) {
    const attributes = attributesOf({ heads, kvHeads, headDim, window, softCap });
    for (const slopes of [false, true]) {
      const inputs = inputsOf(
        queries + keys,
        [
          { queries, keys },
          { queries: 1, keys: 3 },
        ],
        attributes,
        slopes,
      );
      checkKernel(causalAttention, levels, { inputs, attributes, bound: forwardBound(inputs, attributes) });
    }
  }
});

test('head sizes 32 to 256 agree', () => {
  for (const headDim of [32, 64, 80, 96, 128, 256]) {
    const attributes = attributesOf({ heads: 2, kvHeads: 1, headDim, softCap: headDim === 256 ? 50 : 0 });
    const inputs = inputsOf(headDim, [{ queries: 70, keys: 70 }], attributes, headDim === 64);
    checkKernel(causalAttention, levels, { inputs, attributes, bound: forwardBound(inputs, attributes) });
    checkBackward(headDim, [{ queries: 70, keys: 70 }], attributes, headDim === 64);
  }
});

test('a query sees the `window` last keys, its own included', () => {
  const attributes = attributesOf({ heads: 1, kvHeads: 1, headDim: 8, window: 3, scale: 0 });
  const inputs = inputsOf(1, [{ queries: 5, keys: 5 }], attributes);
  for (const { backends } of levels) {
    const { y } = runOp(backends[0]!, causalAttention, inputs, attributes);
    for (let query = 0; query < 5; query++) {
      const seen = Array.from(
        { length: Math.min(3, query + 1) },
        (_, back) => hostData(inputs.v)[(query - back) * 8]!,
      );
      expect(hostData(y)[query * 8]).toBeCloseTo(seen.reduce((a, b) => a + b) / seen.length, 5);
    }
  }
});

test("a query's output does not depend on the queries beside it", () => {
  const attributes = attributesOf({ heads: 6, kvHeads: 2, headDim: 20, window: 40, softCap: 3 });
  const inputs = inputsOf(5, [{ queries: 150, keys: 150 }], attributes, true);
  const width = 120;
  for (const { backends } of levels) {
    for (const computeDtype of ['f32', 'bf16'] as const) {
      const own = { ...attributes, computeDtype };
      const whole = hostData(runOp(backends[0]!, causalAttention, inputs, own).y);
      const keys = 101;
      const few = {
        ...inputs,
        q: f32View([3, width], hostData(inputs.q).slice((keys - 3) * width, keys * width)),
        querySegments: i32View([2], [0, 3]),
        keySegments: i32View([2], [0, keys]),
      };
      const last = hostData(runOp(backends[0]!, causalAttention, few, own).y);
      expect(last).toEqual(whole.slice((keys - 3) * width, keys * width));
    }
  }
});

/**
 * Backward inputs come from the reference's own forward. Every gradient is a sum of ≤ n terms p·(…); p and
 * the slope of the cap are off by the score's error S (above) relatively, the sums by n roundings of terms.
 */
function checkBackward(
  seed: number,
  segments: readonly Lengths[],
  attributes: AttentionAttributes,
  slopes = false,
): void {
  const forward = inputsOf(seed, segments, attributes, slopes);
  const { y, logSumExp } = runOp(createHostBackend(), causalAttention, forward, attributes);
  const dy = normalView(seed, 'dy', y.shape);
  const inputs = { ...forward, y, logSumExp, dy };
  const n = Math.max(forward.q.shape[0]! * (attributes.heads / attributes.kvHeads), forward.k.shape[0]!);
  const { headDim, computeDtype } = attributes;
  const relative = weightError(forward, attributes) + (2 * headDim + n + 70) * EPSILON;
  const size = 6 * Math.sqrt(headDim); // |dy·v − dy·y|, |q|, |k|, |dy| are within about 6·√headDim and 6
  checkKernel(causalAttentionBackward, computeDtype === 'bf16' ? pairLevels : levels, {
    inputs,
    attributes,
    bound: () => relative * size * 4,
  });
}

test(
  'the gradient agrees with its reference for packed segments, grouped heads, windows, soft caps, ALiBi ' +
    'and odd head sizes',
  () => {
    fc.assert(
      fc.property(
        arbitraryLengths,
        arbitraryAttributes,
        fc.boolean(),
        arbitrarySeed,
        (segments, attributes, slopes, seed) => checkBackward(seed, segments, attributes, slopes),
      ),
      { numRuns: 15 },
    );
  },
);

test(
  'in bf16, levels that multiply pairs agree with the reference that rounds the operands, forward and ' +
    'backward',
  () => {
    const arbitraryMany = fc.array(
      fc
        .tuple(
          fc.oneof(fc.constantFrom(0, 9, 31, 64, 65), fc.integer({ min: 9, max: 90 })),
          fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 150 })),
        )
        .map(([queries, more]) => ({ queries, keys: queries + more })),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(
        arbitraryMany,
        arbitraryAttributes,
        fc.boolean(),
        arbitrarySeed,
        (segments, some, slopes, seed) => {
          const attributes: AttentionAttributes = { ...some, computeDtype: 'bf16' };
          const inputs = inputsOf(seed, segments, attributes, slopes);
          checkKernel(causalAttention, pairLevels, {
            inputs,
            attributes,
            bound: forwardBound(inputs, attributes),
          });
          checkBackward(seed, segments, attributes, slopes);
        },
      ),
      { numRuns: 20 },
    );
  },
);

test('in bf16, head sizes 32 to 256 and a single tile against many keys agree', () => {
  for (const headDim of [32, 64, 80, 96, 128, 256]) {
    const attributes = attributesOf({
      heads: 2,
      kvHeads: 1,
      headDim,
      softCap: headDim === 256 ? 50 : 0,
      computeDtype: 'bf16',
    });
    const inputs = inputsOf(headDim, [{ queries: 70, keys: 70 }], attributes, headDim === 64);
    checkKernel(causalAttention, pairLevels, { inputs, attributes, bound: forwardBound(inputs, attributes) });
    checkBackward(headDim, [{ queries: 70, keys: 70 }], attributes, headDim === 64);
  }
  const attributes = attributesOf({ heads: 10, kvHeads: 1, headDim: 16, computeDtype: 'bf16' });
  const inputs = inputsOf(
    1,
    [
      { queries: 1, keys: 1603 },
      { queries: 3, keys: 1101 },
    ],
    attributes,
  );
  checkKernel(causalAttention, pairLevels, { inputs, attributes, bound: forwardBound(inputs, attributes) });
});

test('without pairs, and where columns are few, bf16 gives the bits of f32', () => {
  const attributes = attributesOf({ heads: 4, kvHeads: 2, headDim: 24 });
  const many = inputsOf(3, [{ queries: 40, keys: 60 }], attributes);
  const few = inputsOf(4, [{ queries: 2, keys: 300 }], attributes);
  const bits = (level: (typeof levels)[number], inputs: Inputs, computeDtype: 'f32' | 'bf16') =>
    hostData(runOp(level.backends[0]!, causalAttention, inputs, { ...attributes, computeDtype }).y);
  for (const level of levels) expect(bits(level, few, 'bf16')).toEqual(bits(level, few, 'f32'));
  for (const level of otherLevels) expect(bits(level, many, 'bf16')).toEqual(bits(level, many, 'f32'));
  for (const level of pairLevels) expect(bits(level, many, 'bf16')).not.toEqual(bits(level, many, 'f32'));
});

test(
  'a long segment is cut into chunks of columns (16 tiles and more of 64), whose gradients add up to ' +
    'the same bits on any number of threads',
  () => {
    checkBackward(
      7,
      [{ queries: 300, keys: 300 }],
      attributesOf({ heads: 4, kvHeads: 1, headDim: 16 }),
      true,
    );
    checkBackward(
      9,
      [{ queries: 400, keys: 400 }],
      attributesOf({ heads: 8, kvHeads: 2, headDim: 16, window: 70, computeDtype: 'bf16' }),
    );
    checkBackward(
      8,
      [{ queries: 520, keys: 530 }],
      attributesOf({ heads: 2, kvHeads: 1, headDim: 8, window: 100, softCap: 1 }),
    );
  },
);

test(
  'a segment with more queries than keys is refused, forward and backward: its first queries would see ' +
    'no key',
  () => {
    const attributes = attributesOf({ heads: 2, kvHeads: 1, headDim: 8 });
    const inputs = inputsOf(1, [{ queries: 4, keys: 4 }], attributes);
    const keySegments = i32View([3], [0, 3, 4]);
    const querySegments = i32View([3], [0, 2, 4]);
    for (const {
      backends: [backend],
    } of levels) {
      expect(() =>
        runOp(backend!, causalAttention, { ...inputs, querySegments, keySegments }, attributes),
      ).toThrow(/no more queries than keys/);
      const { y, logSumExp } = runOp(backend!, causalAttention, inputs, attributes);
      expect(() =>
        runOp(
          backend!,
          causalAttentionBackward,
          { ...inputs, querySegments, keySegments, y, logSumExp, dy: normalView(1, 'dy', y.shape) },
          attributes,
        ),
      ).toThrow(/no more queries than keys/);
    }
  },
);

test('segments that leave the arrays are refused', () => {
  const attributes = attributesOf({ heads: 1, kvHeads: 1, headDim: 8 });
  const inputs = inputsOf(1, [{ queries: 4, keys: 4 }], attributes);
  const wrong = [
    [0, 5],
    [-1, 4],
    [3, 2],
  ];
  for (const ends of wrong)
    expect(() =>
      runOp(
        levels[0]!.backends[0]!,
        causalAttention,
        { ...inputs, keySegments: i32View([2], ends) },
        attributes,
      ),
    ).toThrow(/rising segments/);
});
