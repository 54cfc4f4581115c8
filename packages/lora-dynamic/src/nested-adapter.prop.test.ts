import {
  hostData,
  createHostBackend,
  f32View,
  rowsOf,
  type ArrayView,
  type Backend,
  type PackedWeight,
} from '@qdylora/contract';
import { dequantizeNf4, moveToMemory, packedWeight, quantizeNf4, type quantizedInputs } from '@qdylora/quant';
import {
  apply,
  backward,
  constant,
  differentiableAdd,
  differentiableLinear,
  inferenceContext,
  leaf,
  Linear,
  mapLinears,
  Parameter,
  Tape,
  type ForwardContext,
  type LinearLike,
  type FloatTensor,
} from '@qdylora/tensor';
import { randomF32, seededNumbers } from '@qdylora/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  attachDyLora,
  mergeAtRank,
  mergeLayer,
  rankSampler,
  rankSet,
  RANK_SCALINGS,
  resortBySvd,
  scaleAt,
  sliceRank,
  updatedRows,
  type AdaptableModel,
  type Adapted,
  type AdapterConfig,
} from './index.ts';

/** The smallest model that can be adapted: two linear layers, one after the other. */
interface Toy extends AdaptableModel<Toy> {
  readonly modules: { readonly first: LinearLike; readonly second: LinearLike };
}

const toy = (backend: Backend, modules: Toy['modules']): Toy => ({
  backend,
  modules,
  withModules: (replace) => toy(backend, mapLinears(modules, replace)),
});

const packed = (values: ArrayView<'f32'>, backend: Backend): PackedWeight =>
  packedWeight(
    moveToMemory(
      quantizeNf4({ data: hostData(values), shape: values.shape as [number, number] }, { blockSize: 64 }),
      backend.memory,
    ),
  );

/** A toy with random adapters (B too, so that ranks differ); its first layer is packed, its second dense. */
function adaptedToy(
  seed: number,
  config: Partial<AdapterConfig> = {},
  backend = createHostBackend({ poison: true }),
): Adapted<Toy> & { model: Toy } {
  const next = seededNumbers(seed);
  const first = new Linear('first', packed(randomF32([5, 6], next), backend));
  const second = new Linear(
    'second',
    new Parameter('second.weight', randomF32([4, 5], next)),
    new Parameter('second.bias', randomF32([4], next)),
  );
  const adapted = attachDyLora(toy(backend, { first, second }), { ranks: [1, 2, 4, 8], seed, ...config });
  for (const layer of adapted.layers)
    for (const p of [layer.a, layer.b]) hostData(p.view).set(hostData(randomF32(p.view.shape, next)));
  return adapted;
}

const run = (model: Toy, ctx: ForwardContext, x: ArrayView<'f32'>) => {
  const start = leaf(x);
  const hidden = model.modules.first.forward(ctx, start);
  return { start, y: model.modules.second.forward(ctx, hidden) };
};

/** Output and gradients of Σ y·dy at one rank; adapters' gradients start at 0. */
function passAt(adapted: Adapted<Toy>, rank: number | null, x: ArrayView<'f32'>, dy: ArrayView<'f32'>) {
  const { backend } = adapted.model;
  const tape = new Tape(backend);
  const view = rank === null ? adapted.base() : adapted.atRank(rank);
  for (const p of adapted.parameters()) {
    p.makeTrainable(backend.memory);
    hostData(p.gradient!).fill(0);
  }
  const { start, y } = run(view.model, { ...inferenceContext(backend), tape, active: view.active }, x);
  const [dx] = backward(tape, y, { seed: dy, leaves: [start] });
  return {
    y: hostData(y.view).slice(),
    dx: hostData(dx as ArrayView<'f32'>).slice(),
    gradients: adapted.parameters().map((p) => ({
      name: p.name,
      rows: p.view.shape[0],
      width: p.view.shape[1],
      data: hostData(p.gradient!).slice(),
    })),
  };
}

const arbitrary = fc.record({
  seed: fc.nat(),
  rank: fc.integer({ min: 1, max: 8 }),
  tokens: fc.integer({ min: 1, max: 4 }),
  scaling: fc.constantFrom(...RANK_SCALINGS),
});
const close = (got: Float32Array, want: ArrayLike<number>, bound: number): void => {
  got.forEach((g, i) => expect(Math.abs(g - want[i]), `entry ${i}`).toBeLessThanOrEqual(bound));
};

/** Sums of at most 8 products of numbers near 1, twice in a row: 16 roundings of 2⁻²⁴ at values below 64. */
const BOUND = 16 * 64 * 2 ** -24;

describe('a nested adapter at rank b', () => {
  test('computes what a plain LoRA made of its slice computes, forward and gradient', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ seed, rank, tokens, scaling }) => {
        const adapted = adaptedToy(seed, { scaling });
        const next = seededNumbers(seed + 1);
        const x = randomF32([tokens, 6], next);
        const dy = randomF32([tokens, 4], next);
        const own = passAt(adapted, rank, x, dy);
        const slice = sliceRank(await adapted.state(), rank);
        const backend = createHostBackend();
        const tape = new Tape(backend);
        const start = leaf(x);
        let h: FloatTensor = start;
        const leaves = slice.layers.map((layer, i) => {
          const base = adapted.layers[i].base;
          const weight =
            'view' in base.weight
              ? hostData(base.weight.view as ArrayView<'f32'>)
              : dequantizedOf(adapted, i);
          const a = new Parameter('a', f32View([rank, layer.inFeatures], layer.a));
          const b = new Parameter(
            'b',
            f32View(
              [layer.outFeatures, rank],
              layer.b.map((v) => v * slice.scale),
            ),
          );
          for (const p of [a, b]) {
            p.makeTrainable(backend.memory);
            hostData(p.gradient!).fill(0);
          }
          const bias = base.bias ? constant(base.bias.view as ArrayView<'f32'>) : undefined;
          const f32 = { computeDtype: 'f32' as const };
          const frozen = apply(
            { backend, tape },
            differentiableLinear,
            {
              x: h,
              weight: constant(f32View([layer.outFeatures, layer.inFeatures], weight)),
              bias: bias as never,
            },
            f32,
          ).y;
          const inner = apply(
            { backend, tape },
            differentiableLinear,
            { x: h, weight: a as never, bias: undefined },
            f32,
          ).y;
          const outer = apply(
            { backend, tape },
            differentiableLinear,
            { x: inner, weight: b as never, bias: undefined },
            f32,
          ).y;
          h = addOf(backend, tape, frozen, outer);
          return { a, b };
        });
        const [dx] = backward(tape, h, { seed: dy, leaves: [start] });
        const size =
          1 +
          Math.max(
            ...Array.from(own.dx, Math.abs),
            ...Array.from(own.y, Math.abs),
            ...own.gradients.flatMap((g) => Array.from(g.data, Math.abs)),
          );
        close(own.y as Float32Array, hostData(h.view as ArrayView<'f32'>), BOUND * size);
        close(own.dx, hostData(dx as ArrayView<'f32'>), BOUND * size);
        leaves.forEach(({ a, b }, i) => {
          const [ga, gb] = own.gradients.slice(2 * i, 2 * i + 2) as [
            (typeof own.gradients)[0],
            (typeof own.gradients)[0],
          ];
          close(ga!.data.subarray(0, rank * ga!.width), hostData(a.gradient!), BOUND * size);
          const want = Float32Array.from(
            { length: rank * gb!.width },
            (_, at) =>
              hostData(b.gradient!)[(at % gb!.width) * rank + Math.floor(at / gb!.width)] * slice.scale,
          );
          close(gb!.data.subarray(0, rank * gb!.width), want, BOUND * size * Math.max(1, slice.scale));
        });
      }),
      { numRuns: 40 },
    );
  });

  test('neither reads nor writes a row past b: NaN there changes nothing', () => {
    fc.assert(
      fc.property(arbitrary, ({ seed, rank, tokens, scaling }) => {
        const next = seededNumbers(seed + 1);
        const x = randomF32([tokens, 6], next);
        const dy = randomF32([tokens, 4], next);
        const clean = passAt(adaptedToy(seed, { scaling }), rank, x, dy);
        const spoilt = adaptedToy(seed, { scaling });
        for (const p of spoilt.parameters()) hostData(rowsOf(p.view, rank, 8)).fill(NaN);
        expect(passAt(spoilt, rank, x, dy)).toEqual(clean);
        for (const { data, width } of clean.gradients)
          expect(data.subarray(rank * width).every((g) => g === 0)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test('under newest_block gives a gradient to the rows of its block only', () => {
    const next = seededNumbers(3);
    const adapted = adaptedToy(3, { updateRule: 'newest_block' });
    const { gradients } = passAt(adapted, 4, randomF32([3, 6], next), randomF32([3, 4], next));
    for (const { data, width } of gradients) {
      expect(data.subarray(0, 2 * width).every((g) => g === 0)).toBe(true);
      expect(data.subarray(2 * width, 4 * width).some((g) => g !== 0)).toBe(true);
      expect(data.subarray(4 * width).every((g) => g === 0)).toBe(true);
    }
  });

  test('starts as the base model at every rank, since B is 0', () => {
    const backend = createHostBackend();
    const next = seededNumbers(5);
    const first = new Linear('first', new Parameter('w', randomF32([5, 6], next)));
    const second = new Linear('second', new Parameter('v', randomF32([4, 5], next)));
    const adapted = attachDyLora(toy(backend, { first, second }), { ranks: [1, 8], seed: 1 });
    const x = randomF32([2, 6], next);
    const base = run(adapted.model, inferenceContext(backend), x).y.view;
    for (const rank of [1, 5, 8])
      expect(
        hostData(
          run(adapted.model, { ...inferenceContext(backend), active: adapted.atRank(rank).active }, x).y.view,
        ),
      ).toEqual(hostData(base));
  });
});

const dequantizedOf = (adapted: Adapted<Toy>, i: number): Float32Array => {
  const layer = adapted.layers[i];
  const { rows, cols, blockSize, nestedOffset } = (layer.base.weight as PackedWeight).attributes as {
    rows: number;
    cols: number;
    blockSize: number;
    nestedOffset: number;
  };
  const o = (layer.base.weight as PackedWeight).operands as ReturnType<typeof quantizedInputs>;
  return dequantizeNf4({
    kind: 'nf4',
    shape: [rows, cols],
    blockSize,
    codes: o.codes,
    levels: o.levels,
    absmax: null,
    doubleQuantized: {
      codes: o.absmaxCodes!,
      absmax: o.nestedAbsmax!,
      map: o.nestedMap!,
      offset: nestedOffset,
      blockSize: 256,
    },
    bitsPerWeight: 0,
    byteLength: 0,
  });
};

const addOf = (backend: Backend, tape: Tape, a: FloatTensor, b: FloatTensor) =>
  apply({ backend, tape }, differentiableAdd, { a, b }, {}).y;

describe('cutting and merging', () => {
  test('mergeAtRank gives, bit for bit, the merge of what sliceRank gives', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ seed, rank, scaling }) => {
        const adapted = adaptedToy(seed, { scaling });
        const slice = sliceRank(await adapted.state(), rank);
        let i = 0;
        for await (const merged of mergeAtRank(adapted, rank)) {
          const base = adapted.layers[i].base;
          const weight =
            'view' in base.weight
              ? hostData(base.weight.view as ArrayView<'f32'>).slice()
              : dequantizedOf(adapted, i);
          expect(merged.weight).toEqual(mergeLayer(weight as Float32Array, slice.layers[i], slice.scale));
          i++;
        }
      }),
      { numRuns: 20 },
    );
  });

  test(
    're-sorting by SVD at full rank keeps the product, and at rank r nothing of rank r is nearer in the ' +
      'layer',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 8 }), async (seed, rank) => {
          const state = await adaptedToy(seed).state();
          const full = sliceRank(state, 8);
          const product = (s: ReturnType<typeof sliceRank>, i: number): Float32Array => {
            const l = s.layers[i];
            return mergeLayer(new Float32Array(l.outFeatures * l.inFeatures), l, s.scale);
          };
          const whole = resortBySvd(state, 8);
          const cut = resortBySvd(state, rank);
          const prefix = sliceRank(state, rank);
          full.layers.forEach((_, i) => {
            const want = product(full, i);
            const far = (other: Float32Array): number =>
              Math.sqrt(other.reduce((sum, v, at) => sum + (v - want[at]) ** 2, 0));
            const size = far(new Float32Array(want.length));
            expect(far(product(whole, i))).toBeLessThanOrEqual(size * 1e-5);
            expect(far(product(cut, i))).toBeLessThanOrEqual(far(product(prefix, i)) + size * 1e-5);
          });
        }),
        { numRuns: 20 },
      );
    },
  );

  test('an adapter loaded from its state is the same; one for other shapes is refused by name', async () => {
    const adapted = adaptedToy(1);
    const state = await adapted.state();
    await adapted.load(state);
    expect(await adapted.state()).toEqual(state);
    await expect(
      adapted.load({ ...state, layers: state.layers.map((l) => ({ ...l, a: l.a.slice(1) })) }),
    ).rejects.toThrowError(/A of first must have 48 numbers \[8, 6\] \(got 47\)/);
    await expect(adapted.load({ ...state, layers: state.layers.slice(1) })).rejects.toThrowError(
      /the adapter has nothing for the layer first/,
    );
  });
});

describe('ranks', () => {
  test.each([
    [[], /\[ranks\] the list of ranks is empty/],
    [[0], /a rank must be a whole number within 1…4096 \(got 0\)/],
    [[1, 1], /the rank 1 is listed twice/],
    [[1.5], /\(got 1\.5\)/],
    [[-2], /\(got -2\)/],
  ])('the list %j is refused', (list, message) => {
    expect(() => rankSet(list)).toThrowError(message);
  });
  test('a rank outside 1…maxRank is refused, whoever asks', async () => {
    const adapted = adaptedToy(1);
    const state = await adapted.state();
    for (const rank of [0, 9, 1.5, NaN]) {
      expect(() => adapted.atRank(rank)).toThrowError(/the rank must be a whole number within 1…8/);
      expect(() => sliceRank(state, rank)).toThrowError(/the rank must be a whole number within 1…8/);
    }
  });
  test('sampled ranks follow the distribution and depend on seed and step alone', () => {
    const set = rankSet([1, 2, 4]);
    const sampler = rankSampler(set, { distribution: [1, 0, 3], seed: 5 });
    const counts = new Map<number, number>();
    for (let step = 0; step < 8000; step++)
      counts.set(sampler.rankAt(step), (counts.get(sampler.rankAt(step)) ?? 0) + 1);
    expect(counts.get(2)).toBeUndefined();
    // five standard deviations
    expect(Math.abs(counts.get(4)! / 8000 - 0.75)).toBeLessThan(5 * Math.sqrt((0.75 * 0.25) / 8000));
    expect(rankSampler(set, { distribution: [1, 0, 3], seed: 5 }).rankAt(77)).toBe(sampler.rankAt(77));
  });
  test('sandwich always has the largest rank in one part and the drawn one in the other', () => {
    const sampler = rankSampler(rankSet([1, 2, 8]), { seed: 1, schedule: 'sandwich' });
    for (let step = 0; step < 50; step++)
      expect([sampler.ranksOfPart(step, 0, 2), sampler.ranksOfPart(step, 1, 2)]).toEqual([
        [8],
        [sampler.rankAt(step)],
      ]);
  });
  test('the rows that newest_block may touch are the blocks of the ranks seen', () => {
    expect(updatedRows('newest_block', rankSet([1, 4, 8]), [8, 1, 8])).toEqual([
      [0, 1],
      [4, 8],
    ]);
    expect(updatedRows('prefix', rankSet([1, 4, 8]), [1])).toEqual([[0, 8]]);
  });
  test('the scalings are alpha over b, over √b and over R', () => {
    expect([scaleAt('paper', 8, 4, 64), scaleAt('sqrt', 8, 4, 64), scaleAt('constant', 8, 4, 64)]).toEqual([
      2, 4, 0.125,
    ]);
  });
  test('targets are matched as PEFT matches them, and what is left out is reported', () => {
    const backend = createHostBackend();
    const model = toy(backend, {
      first: new Linear('m.q_proj', new Parameter('w', f32View([2, 2]))),
      second: new Linear('m.xq_proj', new Parameter('v', f32View([2, 2]))),
    });
    expect(attachDyLora(model, { ranks: [1], targetModules: ['q_proj'] }).report).toMatchObject({
      matched: ['m.q_proj'],
      unmatched: ['m.xq_proj'],
    });
    expect(attachDyLora(model, { ranks: [1], targetModules: '.*q_proj' }).report.matched).toHaveLength(2);
    expect(attachDyLora(model, { ranks: [4] }).report.widerThanLayer).toHaveLength(2);
    expect(() => attachDyLora(model, { ranks: [1], targetModules: ['v_proj'] })).toThrowError(
      /This model has: q_proj, xq_proj/,
    );
  });
});
