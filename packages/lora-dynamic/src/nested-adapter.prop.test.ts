import { hostData, createHostBackend, f32View, rowsOf, type ArrayView } from '@qdylora/contract';
import {
  apply,
  backward,
  constant,
  differentiableAdd,
  differentiableLinear,
  inferenceContext,
  leaf,
  Linear,
  Parameter,
  Tape,
  type FloatTensor,
  type Tensor,
} from '@qdylora/tensor';
import { randomF32, seededNumbers } from '@qdylora/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attachDyLora, sliceRank, type Adapted, type SlicedAdapter } from './index.ts';
import { type Toy, toy, adaptedToy, runToy, baseWeightOf, arbitraryRank } from '../test/adapted-toy.ts';

/** Output and gradients of Σ y·dy at one rank; adapters' gradients start at 0. */
function passAt(adapted: Adapted<Toy>, rank: number, x: ArrayView<'f32'>, dy: ArrayView<'f32'>) {
  const { backend } = adapted.model;
  const tape = new Tape(backend);
  const view = adapted.atRank(rank);
  for (const p of adapted.parameters()) {
    p.makeTrainable(backend.memory);
    hostData(p.gradient!).fill(0);
  }
  const { start, y } = runToy(view.model, { ...inferenceContext(backend), tape, active: view.active }, x);
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

const close = (got: Float32Array, want: ArrayLike<number>, bound: number): void => {
  got.forEach((g, i) => expect(Math.abs(g - want[i]), `entry ${i}`).toBeLessThanOrEqual(bound));
};

/** Sums of at most 8 products of numbers near 1, twice in a row: 16 roundings of 2⁻²⁴ at values below 64. */
const BOUND = 16 * 64 * 2 ** -24;

/**
 * Output and gradients of Σ y·dy of the same model with plain LoRA layers made from a slice: three products
 * and a sum a layer.
 */
function plainLoraPass(
  adapted: Adapted<Toy>,
  { rank, scale, layers }: SlicedAdapter,
  x: ArrayView<'f32'>,
  dy: ArrayView<'f32'>,
) {
  const backend = createHostBackend();
  const tape = new Tape(backend);
  const recorder = { backend, tape };
  const product = (input: FloatTensor, weight: Tensor, bias?: Tensor): FloatTensor =>
    apply(
      recorder,
      differentiableLinear,
      { x: input, weight: weight as never, bias: bias as never },
      { computeDtype: 'f32' },
    ).y;
  const start = leaf(x);
  let h: FloatTensor = start;
  const parameters = layers.map(({ inFeatures, outFeatures, ...layer }, i) => {
    const a = new Parameter('a', f32View([rank, inFeatures], layer.a));
    const b = new Parameter(
      'b',
      f32View(
        [outFeatures, rank],
        layer.b.map((value) => value * scale),
      ),
    );
    for (const parameter of [a, b]) {
      parameter.makeTrainable(backend.memory);
      hostData(parameter.gradient!).fill(0);
    }
    const { bias } = adapted.layers[i].base;
    const weight = constant(f32View([outFeatures, inFeatures], baseWeightOf(adapted, i)));
    const base = product(h, weight, bias ? constant(bias.view) : undefined);
    const update = product(product(h, a), b);
    h = apply(recorder, differentiableAdd, { a: base, b: update }, {}).y;
    return { a, b };
  });
  const [dx] = backward(tape, h, { seed: dy, leaves: [start] });
  return {
    y: hostData(h.view as ArrayView<'f32'>),
    dx: hostData(dx as ArrayView<'f32'>),
    gradients: parameters.map(({ a, b }) => ({ da: hostData(a.gradient!), db: hostData(b.gradient!) })),
  };
}

/** [out, rank], the layout of a slice, as [rank, out], the layout of an adapter. */
const inAdapterLayout = (values: Float32Array, rank: number, outFeatures: number): Float32Array =>
  Float32Array.from(
    { length: values.length },
    (_, at) => values[(at % outFeatures) * rank + Math.floor(at / outFeatures)],
  );

describe('a nested adapter at rank b', () => {
  test('computes the same as a plain LoRA made of its slice, forward and gradient', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryRank, async ({ seed, rank, tokens, scaling }) => {
        const adapted = adaptedToy(seed, { scaling });
        const next = seededNumbers(seed + 1);
        const x = randomF32([tokens, 6], next);
        const dy = randomF32([tokens, 4], next);
        const nested = passAt(adapted, rank, x, dy);
        const slice = sliceRank(await adapted.state(), rank);
        const plain = plainLoraPass(adapted, slice, x, dy);
        const arrays = [nested.dx, nested.y, ...nested.gradients.map(({ data }) => data)];
        const bound = BOUND * (1 + Math.max(...arrays.flatMap((data) => Array.from(data, Math.abs))));
        close(nested.y as Float32Array, plain.y, bound);
        close(nested.dx, plain.dx, bound);
        plain.gradients.forEach(({ da, db }, i) => {
          const [ofA, ofB] = nested.gradients.slice(2 * i);
          close(ofA.data.subarray(0, rank * ofA.width), da, bound);
          close(
            ofB.data.subarray(0, rank * ofB.width),
            inAdapterLayout(db, rank, ofB.width).map((value) => value * slice.scale),
            bound * Math.max(1, slice.scale),
          );
        });
      }),
      { numRuns: 40 },
    );
  });

  test('neither reads nor writes a row past b: NaN there changes nothing', () => {
    fc.assert(
      fc.property(arbitraryRank, ({ seed, rank, tokens, scaling }) => {
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
    const base = runToy(adapted.model, inferenceContext(backend), x).y.view;
    for (const rank of [1, 5, 8])
      expect(
        hostData(
          runToy(adapted.model, { ...inferenceContext(backend), active: adapted.atRank(rank).active }, x).y
            .view,
        ),
      ).toEqual(hostData(base));
  });
});
