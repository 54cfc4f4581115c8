import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createHostBackend, runOp, type ArrayView, type FloatView } from '@qdylora/contract';
import { linear, linearArgmax, quantizeRows, type ComputeDtype } from '@qdylora/tensor';
import {
  arbitrarySeed,
  arbitrarySize,
  EPSILON,
  normalBfloat16View,
  normalView,
  numbersOf,
} from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const backends = levels.flatMap(({ label, backends: own }) => own.map((backend) => ({ label, backend })));
const host = createHostBackend();

interface Head {
  readonly x: ArrayView<'f32'>;
  readonly weight: FloatView;
  readonly computeDtype: ComputeDtype;
}

/**
 * What every level and thread count says, with and without codes: equal bits within a level; its product
 * within the bound of float32 sums of the reference's greatest.
 */
function checkHead({ x, weight, computeDtype }: Head): void {
  const exact = runOp(host, linearArgmax, { x, weight }, { computeDtype });
  const products = numbersOf(runOp(host, linear, { x, weight }, { computeDtype }).y);
  const codes = runOp(host, quantizeRows, { weight }, {});
  const [out, inFeatures] = weight.shape as [number, number];
  const largest = (view: ArrayView, from: number): number =>
    Array.from(numbersOf(view))
      .slice(from, from + inFeatures)
      .reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  for (const { label, backend } of backends) {
    const plain = runOp(backend, linearArgmax, { x, weight }, { computeDtype });
    const screened = runOp(backend, linearArgmax, { x, weight, ...codes }, { computeDtype });
    expect([...hostData(screened.ids), ...hostData(screened.logits)], label).toEqual([
      ...hostData(plain.ids),
      ...hostData(plain.logits),
    ]);
    for (let t = 0; t < x.shape[0]!; t++) {
      const id = hostData(plain.ids)[t]!;
      const bound =
        1.01 *
        (inFeatures + 3) *
        EPSILON *
        inFeatures *
        largest(x, t * inFeatures) *
        largest(weight, id * inFeatures);
      const own = products[t * out + id]!;
      expect(Math.abs(hostData(plain.logits)[t]! - own), `${label}: product`).toBeLessThanOrEqual(bound);
      expect(own, `${label}: row`).toBeGreaterThanOrEqual(
        hostData(exact.logits)[t]! - 2 * bound - 2 * EPSILON * Math.abs(own),
      );
    }
  }
}

const arbitraryHead = fc.record({
  tokens: fc.constantFrom(1, 1, 2, 3),
  out: arbitrarySize(400).map((n) => Math.max(n, 1)),
  inFeatures: arbitrarySize(300),
  seed: arbitrarySeed,
  half: fc.boolean(),
  computeDtype: fc.constantFrom<ComputeDtype>('f32', 'bf16'),
});

test('the greatest product is found, by its codes first as without', () => {
  fc.assert(
    fc.property(arbitraryHead, ({ tokens, out, inFeatures, seed, half, computeDtype }) => {
      checkHead({
        x: normalView(seed, 'x', [tokens, inFeatures]),
        weight: half
          ? normalBfloat16View(seed, 'w', [out, inFeatures])
          : normalView(seed, 'w', [out, inFeatures]),
        computeDtype,
      });
    }),
    { numRuns: 60 },
  );
});

test('rows that nearly tie, closer than codes can tell: the exact greatest, and the first of equals', () => {
  fc.assert(
    fc.property(
      arbitrarySeed,
      fc.integer({ min: 2, max: 200 }),
      fc.integer({ min: 1, max: 100 }),
      fc.constantFrom(0, 1e-6, 1e-4),
      (seed, out, inFeatures, apart) => {
        const weight = normalView(seed, 'w', [out, inFeatures]);
        const noise = normalView(seed, 'noise', [out, inFeatures], apart);
        for (let i = inFeatures; i < out * inFeatures; i++)
          hostData(weight)[i] = hostData(weight)[i % inFeatures]! + hostData(noise)[i]!;
        for (let i = 0; i < inFeatures; i++) hostData(weight)[i] = hostData(weight)[i]! + hostData(noise)[i]!;
        const x = normalView(seed, 'x', [1, inFeatures]);
        checkHead({ x, weight, computeDtype: 'f32' });
        if (apart === 0)
          for (const { backend } of backends)
            expect(
              hostData(runOp(backend, linearArgmax, { x, weight }, { computeDtype: 'f32' }).ids)[0],
            ).toBe(0);
      },
    ),
    { numRuns: 30 },
  );
});

test('outliers in x and in a row, which make bounds wide', () => {
  fc.assert(
    fc.property(arbitrarySeed, fc.constantFrom(30, 1e4), (seed, outlier) => {
      const x = normalView(seed, 'x', [2, 96]);
      const weight = normalBfloat16View(seed, 'w', [300, 96]);
      hostData(x)[5] = outlier;
      hostData(weight)[7 * 96 + 9] = hostData(weight)[7 * 96 + 9]! + 0x300; // 64 times as large
      for (const computeDtype of ['f32', 'bf16'] as const) checkHead({ x, weight, computeDtype });
    }),
    { numRuns: 8 },
  );
});

test(
  'scales below 0, which are not ours, stand for codes of the other sign: the answer is a row, and ' +
    'the same',
  () => {
    for (const flipped of [(row: number) => row % 2 === 0, () => true]) {
      const weight = normalView(3, 'w', [300, 40]);
      const x = normalView(3, 'x', [2, 40]);
      const { codes, scales } = runOp(host, quantizeRows, { weight }, {});
      for (let row = 0; row < 300; row++) {
        if (!flipped(row)) continue;
        hostData(scales)[row] = -hostData(scales)[row]!;
        for (let i = row * 40; i < (row + 1) * 40; i++) hostData(codes)[i] = -hostData(codes)[i]!;
      }
      const want = [...hostData(runOp(host, linearArgmax, { x, weight }, { computeDtype: 'f32' }).ids)];
      for (const { label, backend } of backends)
        expect(
          [
            ...hostData(
              runOp(backend, linearArgmax, { x, weight, codes, scales }, { computeDtype: 'f32' }).ids,
            ),
          ],
          label,
        ).toEqual(want);
      // Codes that say nothing of the rows may hide the greatest, but the answer is a row, with its own
      // product.
      hostData(codes).fill(1);
      for (const { label, backend } of backends) {
        const { ids, logits } = runOp(
          backend,
          linearArgmax,
          { x, weight, codes, scales },
          { computeDtype: 'f32' },
        );
        for (let t = 0; t < 2; t++) {
          const id = hostData(ids)[t]!;
          const exact = hostData(weight)
            .subarray(id * 40, id * 40 + 40)
            .reduce((sum, w, i) => sum + w * hostData(x)[t * 40 + i]!, 0);
          expect(id, label).toBeGreaterThanOrEqual(0);
          expect(hostData(logits)[t], label).toBeCloseTo(exact, 4);
        }
      }
    }
  },
);

test('several threads share a head', () => {
  checkHead({
    x: normalView(9, 'x', [1, 576]),
    weight: normalBfloat16View(9, 'w', [1501, 576]),
    computeDtype: 'bf16',
  });
});

test('NaN is never the greatest, an infinite product may be; without any number the answer is row 0', () => {
  const ids = (x: ArrayView<'f32'>, weight: FloatView): void => {
    const want = [...hostData(runOp(host, linearArgmax, { x, weight }, { computeDtype: 'f32' }).ids)];
    const codes = runOp(host, quantizeRows, { weight }, {});
    for (const { label, backend } of backends) {
      for (const more of [{}, codes])
        expect(
          [...hostData(runOp(backend, linearArgmax, { x, weight, ...more }, { computeDtype: 'f32' }).ids)],
          label,
        ).toEqual(want);
    }
  };
  for (const [place, value] of [
    [0, NaN],
    [40, NaN],
    [40, Infinity],
    [40, -Infinity],
  ] as const) {
    const weight = normalView(4, 'w', [9, 20]);
    const x = normalView(4, 'x', [1, 20]);
    hostData(weight)[place] = value;
    ids(x, weight);
  }
  for (const value of [NaN, Infinity, 0]) {
    const x = normalView(5, 'x', [1, 20]);
    if (value === 0) hostData(x).fill(0);
    else hostData(x)[3] = value;
    ids(x, normalView(5, 'w', [9, 20]));
  }
});
