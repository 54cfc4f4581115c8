import { createHostBackend, hostData, type ArrayView } from '@qdylora/contract';
import {
  dequantizeNf4,
  leveledWeight,
  moveToMemory,
  packedWeight,
  quantizeNf4,
  threeBitMatrix,
} from '@qdylora/quant';
import {
  apply,
  backward,
  decodedWeight,
  differentiableAdd,
  inferenceContext,
  leaf,
  Linear,
  Parameter,
  projectTogether,
  Tape,
  type LinearLike,
  type LinearWeight,
} from '@qdylora/tensor';
import { randomF32, seededNumbers } from '@qdylora/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  attachDyLora,
  groupFrozenLayers,
  modelAtLevel,
  quantizationLevelsOf,
  type AdaptableModel,
  type Adapted,
} from '../index.ts';
import { mapLinears } from '@qdylora/tensor';

const backend = createHostBackend({ poison: true });
const WIDTH = 16;

/** Two layers that read one input, and a third that reads the sum of their results. */
interface Net extends AdaptableModel<Net> {
  readonly modules: { readonly one: LinearLike; readonly two: LinearLike; readonly last: LinearLike };
}

const net = (modules: Net['modules']): Net => ({
  backend,
  modules,
  withModules: (replace) => net(mapLinears(modules, replace)),
});

/** The same net with weights at the levels 3, 4 and 8, with today's 4-bit weights, and with dense ones. */
function nets(seed: number) {
  const next = seededNumbers(seed);
  const layers = (['one', 'two', 'last'] as const).map((name) => {
    const shape = [WIDTH, WIDTH] as const;
    const data = hostData(randomF32(shape, next));
    const matrix = moveToMemory(quantizeNf4({ data, shape }), backend.memory);
    const decoded = dequantizeNf4(matrix);
    const threeBits = threeBitMatrix(matrix, data);
    const residual = quantizeNf4({ data: data.map((value, i) => value - decoded[i]), shape });
    const rest = dequantizeNf4(residual);
    const dense = {
      3: dequantizeNf4(threeBits),
      4: decoded,
      8: decoded.map((value, i) => value + rest[i]),
    };
    return {
      name,
      leveled: leveledWeight(matrix, { threeBits, residual }),
      stored: packedWeight(matrix),
      dense,
    };
  });
  const netOf = (weightOf: (layer: (typeof layers)[number]) => LinearWeight): Net =>
    net(
      Object.fromEntries(
        layers.map((layer) => [layer.name, new Linear(layer.name, weightOf(layer))]),
      ) as never,
    );
  const denseAt = (level: 3 | 4 | 8): Net =>
    netOf(({ name, dense }) => {
      const view = backend.memory.allocate('f32', [WIDTH, WIDTH]);
      backend.memory.persist(view);
      backend.memory.write(view, dense[level]);
      return new Parameter(`${name}.weight`, view);
    });
  return { leveled: netOf(({ leveled }) => leveled), stored: netOf(({ stored }) => stored), denseAt };
}

/** The net with random adapters; equal seeds give equal numbers. */
function adaptedNet(model: Net, seed: number): Adapted<Net> {
  const adapted = attachDyLora(model, { ranks: [1, 2, 4], seed });
  const next = seededNumbers(seed + 1);
  for (const { b } of adapted.layers) hostData(b.view).set(hostData(randomF32(b.view.shape, next)));
  for (const parameter of adapted.parameters()) parameter.makeTrainable(backend.memory);
  return adapted;
}

/** Result, input gradient and gradients of the adapters, of Σ y·dy. */
function pass(
  adapted: Adapted<Net>,
  { model, active }: ReturnType<Adapted<Net>['atRank']>,
  { x, dy }: { readonly x: ArrayView<'f32'>; readonly dy: ArrayView<'f32'> },
): Float32Array[] {
  for (const { gradient } of adapted.parameters()) hostData(gradient!).fill(0);
  const tape = new Tape(backend);
  const ctx = { ...inferenceContext(backend), tape, active };
  const start = leaf(x);
  const [a, b] = projectTogether(ctx, [model.modules.one, model.modules.two], start);
  const { y: hidden } = apply(ctx, differentiableAdd, { a: a as never, b: b as never }, {});
  const y = model.modules.last.forward(ctx, hidden);
  const result = hostData(y.view as ArrayView<'f32'>).slice();
  const [dx] = backward(tape, y, { seed: dy, leaves: [start] });
  const gradients = adapted.parameters().map(({ gradient }) => hostData(gradient!).slice());
  return [result, hostData(dx as ArrayView<'f32'>).slice(), ...gradients];
}

const inputs = (seed: number, tokens: number) => {
  const next = seededNumbers(seed);
  return { x: randomF32([tokens, WIDTH], next), dy: randomF32([tokens, WIDTH], next) };
};

const cases = fc.record({
  seed: fc.nat(10_000),
  rank: fc.constantFrom(1, 2, 4),
  tokens: fc.integer({ min: 1, max: 4 }),
  level: fc.constantFrom(3 as const, 4 as const, 8 as const),
});

it('a pass at a level, and its gradients, are those of the dense weights of that level', () => {
  fc.assert(
    fc.property(cases, ({ seed, rank, tokens, level }) => {
      const { leveled, denseAt } = nets(seed);
      const [one, other] = [adaptedNet(leveled, seed), adaptedNet(denseAt(level), seed)];
      const given = inputs(seed, tokens);
      const got = pass(one, one.atRank(rank, { level }), given);
      const want = pass(other, other.atRank(rank), given);
      // Level 8 adds two products, each rounded to float32: 2⁻²⁴ of sums of 16 numbers below 8, twice.
      const bound = 64 * 16 * 8 * 2 ** -24;
      got.forEach((values, k) =>
        values.forEach((value, i) => {
          expect(Math.abs(value - want[k][i]), `array ${k}, entry ${i}`).toBeLessThanOrEqual(
            bound * (1 + Math.abs(want[k][i])),
          );
        }),
      );
    }),
    { numRuns: 40 },
  );
});

it('level 4 of a model with levels has the bits of a model without them', () => {
  fc.assert(
    fc.property(cases, ({ seed, rank, tokens }) => {
      const { leveled, stored } = nets(seed);
      const [one, other] = [adaptedNet(leveled, seed), adaptedNet(stored, seed)];
      const given = inputs(seed, tokens);
      const want = pass(other, other.atRank(rank), given);
      expect(pass(one, one.atRank(rank), given)).toEqual(want);
      expect(pass(one, one.atRank(rank, { level: 4 }), given)).toEqual(want);
    }),
    { numRuns: 20 },
  );
});

it('passes at two levels do not interfere', () => {
  const adapted = adaptedNet(nets(5).leveled, 5);
  const given = inputs(5, 3);
  const alone = pass(adapted, adapted.atRank(2), given);
  const atThree = pass(adapted, adapted.atRank(2, { level: 3 }), given);
  expect(pass(adapted, adapted.atRank(2), given)).toEqual(alone);
  expect(atThree).not.toEqual(alone);
  expect(adapted.atRank(1, { level: 3 }).model).toBe(adapted.atRank(4, { level: 3 }).model);
});

it('the base at a level decodes to the numbers of its products', async () => {
  const { leveled, denseAt } = nets(9);
  for (const level of [3, 4, 8] as const) {
    const weightOf = ({ modules }: Net) => (modules.one as Linear).weight;
    expect(await decodedWeight(weightOf(modelAtLevel(leveled, level)), backend)).toEqual(
      await decodedWeight(weightOf(denseAt(level)), backend),
    );
  }
});

it('levels that a model does not have are refused', () => {
  const { leveled, stored, denseAt } = nets(3);
  expect([leveled, stored, denseAt(4)].map(quantizationLevelsOf)).toEqual([[3, 4, 8], [4], []]);
  expect(attachDyLora(leveled, { ranks: [1] }).levels).toEqual([3, 4, 8]);
  expect(() => modelAtLevel(leveled, 5)).toThrow(
    /must be one of 3, 4, 8, which this model was built with \(got 5\)/,
  );
  expect(() => attachDyLora(stored, { ranks: [1] }).atRank(1, { level: 3 })).toThrow(/must be one of 4/);
  expect(() => attachDyLora(denseAt(4), { ranks: [1] }).base({ level: 8 })).toThrow(
    /is not quantized has no/,
  );
});

it('another level of grouped or adapted layers is refused as such; the stored one is the same model', () => {
  const { leveled } = nets(3);
  const grouped = groupFrozenLayers(leveled);
  const adapted = attachDyLora(leveled, { ranks: [1] }).model;
  const halfAdapted = attachDyLora(leveled, { ranks: [1], targetModules: ['one'] }).model;
  for (const model of [grouped, adapted, halfAdapted]) {
    expect(modelAtLevel(model, 4)).toBe(model);
    expect(() => modelAtLevel(model, 3)).toThrow(
      /keep their quantization level \(got 3\)\. Choose the level first, then group layers/,
    );
  }
});
