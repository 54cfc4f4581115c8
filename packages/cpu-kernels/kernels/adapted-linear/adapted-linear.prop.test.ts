import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, runOp, viewOf, type Arrays, type ArrayView, type Op } from '@qdylora/contract';
import {
  adaptedLinear,
  adaptedLinearBackward,
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
  numbered,
  type BaseOperands,
  type RankPart,
} from '@qdylora/lora-dynamic';
import {
  arbitrarySeed,
  arbitrarySize,
  checkKernel,
  EPSILON,
  magnitudeBound,
  normalBfloat16View,
  normalView,
  type Bound,
} from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';
import { packedWeight } from '../../test/packed-weight.ts';

const levels = await everyLevel();

const arbitraryCase = fc.record({
  tokens: arbitrarySize(40),
  rows: arbitrarySize(100),
  cols: fc.oneof(fc.constantFrom(0, 64, 128, 192), arbitrarySize(120)),
  r: arbitrarySize(33),
  from: fc.integer({ min: 0, max: 33 }),
  base: fc.constantFrom('f32', 'bf16', 'nf4', 'nested'),
  seed: arbitrarySeed,
  computeDtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16'),
  dropped: fc.boolean(),
  biased: fc.boolean(),
  accumulate: fc.boolean(),
  wantsDx: fc.boolean(),
  wantsGradients: fc.boolean(),
  cuts: arbitraryCuts(),
});

/** Shares of the rows and of the rank, from which `partsOf` makes parts; none in half of the cases. */
function arbitraryCuts() {
  return fc.option(
    fc.array(
      fc.tuple(
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: 0, max: 9 }),
      ),
      { maxLength: 3 },
    ),
  );
}

function partsOf(
  cuts: readonly (readonly [number, number, number])[] | null,
  tokens: number,
  r: number,
  least = 0,
): RankPart[] | undefined {
  if (!cuts || r === 0) return undefined;
  const ends = [...cuts.map(([at]) => Math.floor((at * tokens) / 10)).sort((a, b) => a - b), tokens];
  return ends.map((until, i) => {
    const [, high, low] = cuts[i] ?? [0, 9, 0];
    const rank = Math.max(least, Math.ceil((high * r) / 9));
    return {
      until,
      rank,
      trainFrom: Math.max(least, Math.floor((low * rank) / 10)),
      factor: 1 + i / 2,
      ...(high % 2 === 0 && { weight: 0.3 + i }),
    };
  });
}

/** u as the forward makes it: 0 past a part's rank. */
function uOf(
  seed: number,
  tokens: number,
  r: number,
  parts: readonly RankPart[] | undefined,
): ArrayView<'f32'> {
  const u = normalView(seed, 'u', [tokens, r]);
  for (let t = 0; t < tokens && parts; t++)
    hostData(u).fill(0, t * r + parts.find(({ until }) => t < until)!.rank, (t + 1) * r);
  return u;
}

function baseOf(kind: string, seed: number, rows: number, cols: number): BaseOperands {
  switch (kind) {
    case 'f32':
      return { weight: normalView(seed, 'w', [rows, cols]) };
    case 'bf16':
      return { weight: normalBfloat16View(seed, 'w', [rows, cols]) };
    default:
      return packedWeight(seed, rows, cols, 64, kind === 'nested');
  }
}

const attributesOf = (base: string, rows: number, cols: number, computeDtype: 'f32' | 'bf16') => ({
  rows,
  cols,
  blockSize: base === 'f32' || base === 'bf16' ? 0 : 64,
  nestedOffset: base === 'nested' ? Math.fround(0.03) : 0,
  computeDtype,
  scale: 0.7,
}); // an offset is a float32: kernels take no other

/**
 * Sums of `roundings` roundings. In bf16, moreover, the scaled u (g) is rounded to bfloat16 from a float32
 * sum that need not be the reference's to the last bit: where it falls to the other side of a limit, it is
 * off by one bfloat16 step, 2^-7 of itself at most, so the adapter's share of the result is too.
 */
function boundOf<I extends Arrays, O extends Arrays, A extends { computeDtype: 'f32' | 'bf16' }>(
  op: Op<I, O, A>,
  inputs: I,
  attributes: A,
  roundings: number,
  given: Partial<O> = {},
): Bound {
  const sums = magnitudeBound(op, inputs, attributes, roundings, given);
  if (attributes.computeDtype === 'f32') return sums;
  const withoutBase = Object.fromEntries(
    Object.entries(inputs).map(([name, view]) => [
      name,
      view && /^(weight|levels)/.test(name) ? zerosLike(view) : view,
    ]),
  ) as I;
  const zeros = Object.fromEntries(
    Object.entries(given).map(([name, view]) => [name, zerosLike(view as ArrayView)]),
  ) as Partial<O>;
  const steps = magnitudeBound(op, withoutBase, attributes, 2 ** -7 / EPSILON, zeros);
  return (name, index, want) =>
    sums(name, index, want) + (name.startsWith('u') ? 0 : steps(name, index, want));
}

const zerosLike = (view: ArrayView): ArrayView =>
  viewOf(
    view.dtype,
    view.shape,
    new (hostData(view).constructor as Float32ArrayConstructor)(hostData(view).length) as never,
  );

test('an adapted layer agrees with its reference: any base, with or without dropout, at any rank', () => {
  fc.assert(
    fc.property(
      arbitraryCase,
      ({ tokens, rows, cols, r, base, seed, computeDtype, dropped, biased, cuts }) => {
        const inputs = {
          ...baseOf(base, seed, rows, cols),
          x: normalView(seed, 'x', [tokens, cols]),
          xAdapter: dropped ? normalView(seed, 'xa', [tokens, cols]) : undefined,
          bias: biased ? normalView(seed, 'bias', [rows]) : undefined,
          a: normalView(seed, 'a', [r, cols]),
          b: normalView(seed, 'b', [r, rows]),
        };
        const attributes = {
          ...attributesOf(base, rows, cols, computeDtype),
          parts: partsOf(cuts, tokens, r),
        };
        // u is a sum of `cols` products, and y one more of r products of it, each also scaled.
        checkKernel(adaptedLinear, levels, {
          inputs,
          attributes,
          bound: boundOf(adaptedLinear, inputs, attributes, cols + r + 6),
        });
        checkKernel(adaptedLinear, levels, {
          inputs,
          attributes: { ...attributes, wantsY: false },
          bound: boundOf(adaptedLinear, inputs, attributes, cols + 6),
        });
        for (const { label, backends } of rows * cols > 0 ? levels : []) {
          for (const backend of backends) {
            backend.memory.scoped(() => {
              // without y: u has the same bits
              const whole = runOp(backend, adaptedLinear, inputs as never, attributes).u;
              const alone = runOp(backend, adaptedLinear, inputs as never, { ...attributes, wantsY: false });
              expect([alone.y, Array.from(hostData(alone.u))], label).toEqual([
                undefined,
                Array.from(hostData(whole)),
              ]);
            });
          }
        }
      },
    ),
    { numRuns: 80 },
  );
});

test('the backward of an adapted layer agrees with its reference, output by output', () => {
  fc.assert(
    fc.property(
      arbitraryCase,
      ({
        tokens,
        rows,
        cols,
        r,
        from,
        base,
        seed,
        computeDtype,
        dropped,
        accumulate,
        wantsDx,
        wantsGradients,
        cuts,
      }) => {
        const trainFrom = Math.min(from, r);
        const trained = r - trainFrom;
        const parts = partsOf(cuts, tokens, r, trainFrom);
        const inputs = {
          ...baseOf(base, seed, rows, cols),
          dy: normalView(seed, 'dy', [tokens, rows]),
          x: wantsDx && !wantsGradients ? undefined : normalView(seed, 'x', [tokens, cols]),
          xAdapter: dropped ? normalView(seed, 'xa', [tokens, cols]) : undefined,
          u: uOf(seed, tokens, r, parts),
          a: normalView(seed, 'a', [r, cols]),
          b: normalView(seed, 'b', [r, rows]),
        };
        const attributes = {
          ...attributesOf(base, rows, cols, computeDtype),
          accumulate,
          trainFrom,
          wantsDx,
          parts,
        };
        const given = {
          ...(accumulate && wantsDx && { dx: normalView(seed, 'dx', [tokens, cols]) }),
          ...(wantsGradients && {
            da: normalView(seed, 'da', [trained, cols]),
            db: normalView(seed, 'db', [trained, rows]),
          }),
        };
        checkKernel(adaptedLinearBackward, levels, {
          inputs,
          attributes,
          given,
          bound: boundOf(adaptedLinearBackward, inputs, attributes, rows + r + tokens + 6, given),
        });
      },
    ),
    { numRuns: 80 },
  );
});

test('dx and the gradients of the adapter have the same bits computed apart and together', () => {
  fc.assert(
    fc.property(arbitraryCase, ({ tokens, rows, cols, r, base, seed, computeDtype }) => {
      fc.pre(tokens * rows * cols > 0); // of an empty weight nobody can say how it is packed
      const inputs = {
        ...baseOf(base, seed, rows, cols),
        dy: normalView(seed, 'dy', [tokens, rows]),
        u: normalView(seed, 'u', [tokens, r]),
        a: normalView(seed, 'a', [r, cols]),
        b: normalView(seed, 'b', [r, rows]),
      };
      const x = normalView(seed, 'x', [tokens, cols]);
      const attributes = { ...attributesOf(base, rows, cols, computeDtype), accumulate: false, trainFrom: 0 };
      const fresh = () => ({ da: normalView(seed, 'da', [r, cols]), db: normalView(seed, 'db', [r, rows]) });
      for (const { backends } of levels) {
        for (const backend of backends) {
          const together = runOp(
            backend,
            adaptedLinearBackward,
            { ...inputs, x },
            { ...attributes, wantsDx: true },
            fresh(),
          );
          const gradients = runOp(
            backend,
            adaptedLinearBackward,
            { ...inputs, x },
            { ...attributes, wantsDx: false },
            fresh(),
          );
          const { dx } = runOp(backend, adaptedLinearBackward, inputs, { ...attributes, wantsDx: true });
          for (const [got, want] of [
            [dx, together.dx],
            [gradients.da, together.da],
            [gradients.db, together.db],
          ] as const)
            expect(hostData(got!)).toEqual(hostData(want!));
        }
      }
    }),
    { numRuns: 40 },
  );
});

// In tiles weights stand as the rows of a product of 250 rows, two threads share the columns of 1,100, and
// keep to rows of their own of 1,700, which are two blocks.
test.each([
  ['bf16', 250, 70],
  ['f32', 1100, 150],
  ['bf16', 1100, 150],
  ['bf16', 1700, 70],
] as const)(
  'in %s, an adapted layer with several row blocks, depth blocks and groups agrees with its reference (%i ' +
    'rows)',
  (computeDtype, tokens, rows) => {
    const [cols, r] = [704, 8];
    const inputs = {
      ...packedWeight(1, rows, cols, 64, true),
      x: normalView(1, 'x', [tokens, cols]),
      a: normalView(1, 'a', [r, cols]),
      b: normalView(1, 'b', [r, rows]),
    };
    const parts = [
      { until: Math.min(517, tokens - 100), rank: 3, trainFrom: 0, factor: 2 },
      { until: tokens, rank: r, trainFrom: 4, factor: 1 },
    ];
    const attributes = { ...attributesOf('nested', rows, cols, computeDtype), parts };
    checkKernel(adaptedLinear, levels, {
      inputs,
      attributes,
      bound: boundOf(adaptedLinear, inputs, attributes, cols + r + 6),
    });
    const backward = { ...inputs, dy: normalView(1, 'dy', [tokens, rows]), u: uOf(1, tokens, r, parts) };
    const backwardAttributes = { ...attributes, accumulate: false, trainFrom: 0, wantsDx: true };
    const given = { da: normalView(1, 'da', [r, cols]), db: normalView(1, 'db', [r, rows]) };
    checkKernel(adaptedLinearBackward, levels, {
      inputs: backward,
      attributes: backwardAttributes,
      given,
      bound: boundOf(adaptedLinearBackward, backward, backwardAttributes, rows + tokens + r + 6, given),
    });
  },
);

test('an adapter whose u is as large as a C that goes past the caches agrees with its reference', () => {
  const [tokens, rows, cols, r] = [4200, 40, 64, 64];
  const inputs = {
    ...packedWeight(1, rows, cols, 64, true),
    x: normalView(1, 'x', [tokens, cols]),
    a: normalView(1, 'a', [r, cols]),
    b: normalView(1, 'b', [r, rows]),
  };
  const attributes = attributesOf('nested', rows, cols, 'bf16');
  const tiles = levels.filter(({ label }) => label !== 'generic');
  checkKernel(adaptedLinear, tiles, {
    inputs,
    attributes,
    bound: boundOf(adaptedLinear, inputs, attributes, cols + r + 6),
  });
  const backward = { ...inputs, dy: normalView(1, 'dy', [tokens, rows]), u: normalView(1, 'u', [tokens, r]) };
  const backwardAttributes = { ...attributes, accumulate: false, trainFrom: 0, wantsDx: true };
  checkKernel(adaptedLinearBackward, tiles, {
    inputs: backward,
    attributes: backwardAttributes,
    bound: boundOf(adaptedLinearBackward, backward, backwardAttributes, rows + tokens + r + 6),
  });
});

const arbitraryGroup = fc.record({
  tokens: arbitrarySize(40),
  cols: fc.oneof(fc.constantFrom(0, 64, 128), arbitrarySize(100)),
  r: arbitrarySize(33),
  from: fc.integer({ min: 0, max: 33 }),
  seed: arbitrarySeed,
  layers: fc.array(
    fc.record({
      rows: arbitrarySize(100),
      base: fc.constantFrom('f32', 'bf16', 'nf4', 'nested'),
      isAdapted: fc.boolean(),
      biased: fc.boolean(),
      wantsGradients: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  computeDtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16'),
  accumulate: fc.boolean(),
  wantsDx: fc.boolean(),
  cuts: arbitraryCuts(),
});

test(
  'a group of layers of one input agrees with its reference, each with an adapter or without, and so ' +
    'does its backward',
  () => {
    fc.assert(
      fc.property(
        arbitraryGroup,
        ({ tokens, cols, r, from, seed, layers, computeDtype, accumulate, wantsDx, cuts }) => {
          const isAdapted = layers.some((layer) => layer.isAdapted);
          const trainFrom = Math.min(from, r);
          const trained = r - trainFrom;
          const x = normalView(seed, 'x', [tokens, cols]);
          const parts = isAdapted ? partsOf(cuts, tokens, r, trainFrom) : undefined;
          const operands = layers.map(({ base, rows, isAdapted: own }, i) => ({
            ...baseOf(base, seed + i, rows, cols),
            ...(own && { a: normalView(seed + i, 'a', [r, cols]), b: normalView(seed + i, 'b', [r, rows]) }),
          }));
          const attributes = {
            layers: layers.map(({ base, rows, isAdapted: own }) => ({
              ...attributesOf(base, rows, cols, computeDtype),
              scale: own ? 0.7 : 1,
            })),
            cols,
            computeDtype,
            parts,
          };
          const inputs = Object.assign(
            { x },
            ...layers.map(({ rows, biased }, i) =>
              numbered(
                { ...operands[i], bias: biased ? normalView(seed + i, 'bias', [rows]) : undefined },
                i,
              ),
            ),
          );
          checkKernel(adaptedLinearGroup, levels, {
            inputs,
            attributes,
            bound: boundOf(adaptedLinearGroup, inputs, attributes, cols + r + 6),
          });

          const backward = Object.assign(
            { x },
            ...layers.map(({ rows, isAdapted: own }, i) =>
              numbered(
                {
                  ...operands[i],
                  dy: normalView(seed + i, 'dy', [tokens, rows]),
                  ...(own && { u: uOf(seed + i, tokens, r, parts) }),
                },
                i,
              ),
            ),
          );
          const given = Object.assign(
            {},
            accumulate && wantsDx && { dx: normalView(seed, 'dx', [tokens, cols]) },
            ...layers.map(
              ({ rows, isAdapted: own, wantsGradients }, i) =>
                own &&
                wantsGradients &&
                numbered(
                  {
                    da: normalView(seed + i, 'da', [trained, cols]),
                    db: normalView(seed + i, 'db', [trained, rows]),
                  },
                  i,
                ),
            ),
          );
          const backwardAttributes = {
            ...attributes,
            accumulate,
            trainFrom: isAdapted ? trainFrom : 0,
            wantsDx,
          };
          const terms = layers.reduce((sum, { rows }) => sum + rows + r, tokens + 6);
          checkKernel(adaptedLinearGroupBackward, levels, {
            inputs: backward,
            attributes: backwardAttributes,
            given,
            bound: boundOf(adaptedLinearGroupBackward, backward, backwardAttributes, terms, given),
          });
        },
      ),
      { numRuns: 80 },
    );
  },
);
