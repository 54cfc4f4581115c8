import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHostBackend, f32View, hostData, rowsOf, runOp, type ArrayView } from '@qdylora/contract';
import { linearArgmax, quantizeRows } from '@qdylora/tensor';
import { normalBfloat16View, normalView } from '@qdylora/testing';
import { arbitraryHead, arbitraryNearTies, arbitraryOutliers } from '@qdylora/testing/conformance';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const backends = levels.flatMap(({ label, backends: ofLevel }) =>
  ofLevel.map((backend) => ({ label, backend })),
);
const host = createHostBackend();

test('the answer has the same bits with codes and without', () => {
  const anyHead = fc.oneof(arbitraryHead, arbitraryNearTies, arbitraryOutliers);
  fc.assert(
    fc.property(anyHead, ({ x, weight, computeDtype }) => {
      const codes = runOp(host, quantizeRows, { weight }, {});
      for (const { label, backend } of backends) {
        const plain = runOp(backend, linearArgmax, { x, weight }, { computeDtype });
        const screened = runOp(backend, linearArgmax, { x, weight, ...codes }, { computeDtype });
        expect([...hostData(screened.ids), ...hostData(screened.logits)], label).toEqual([
          ...hostData(plain.ids),
          ...hostData(plain.logits),
        ]);
      }
    }),
    { numRuns: 100 },
  );
});

test("a token's answer has the same bits whatever tokens come with it, with codes and without", () => {
  const weight = normalBfloat16View(1, 'w', [301, 83]);
  const codes = runOp(host, quantizeRows, { weight }, {});
  for (const operands of [{ weight }, { weight, ...codes }])
    for (const { label, backend } of backends) {
      const answers = (x: ArrayView<'f32'>): number[][] => {
        const { ids, logits } = runOp(backend, linearArgmax, { x, ...operands }, { computeDtype: 'bf16' });
        return [[...hostData(ids)], [...hostData(logits)]];
      };
      const x = normalView(1, 'x', [11, 83]);
      const [ids, logits] = answers(x);
      for (let token = 0; token < 11; token++)
        expect(answers(rowsOf(x, token, token + 1)), label).toEqual([[ids[token]], [logits[token]]]);
    }
});

test('many small numbers of x count beside a large one', () => {
  const size = 2000;
  const x = f32View([1, size + 1], [1e4, ...Array.from({ length: size }, () => 0.1)]);
  const ofLarge = [0.005, ...Array.from({ length: size }, () => 0)]; // 50
  const ofSmall = [0, ...Array.from({ length: size }, () => 1)]; // 200
  const weight = f32View([2, size + 1], [...ofLarge, ...ofSmall]);
  const codes = runOp(host, quantizeRows, { weight }, {});
  for (const { label, backend } of backends) {
    const { ids } = runOp(backend, linearArgmax, { x, weight, ...codes }, { computeDtype: 'f32' });
    expect(hostData(ids)[0], label).toBe(1);
  }
});

test('rows so long that sums of their codes would pass 32 bits give the greater product', () => {
  const size = 1_200_000;
  const x = f32View([1, size], new Float32Array(size).fill(1));
  const weight = f32View([2, size], new Float32Array(2 * size).fill(1, 0, size).fill(0.9, size));
  const codes = runOp(host, quantizeRows, { weight }, {});
  for (const { label, backend } of backends) {
    const { ids } = runOp(backend, linearArgmax, { x, weight, ...codes }, { computeDtype: 'f32' });
    expect(hostData(ids)[0], label).toBe(0);
  }
});

test('of equal rows the first is the answer', () => {
  const row = [...hostData(normalView(1, 'w', [1, 37]))];
  const weight = f32View([120, 37], Array.from({ length: 120 }, () => row).flat());
  for (const seed of [1, 2, 3, 4, 5]) {
    const x = normalView(seed, 'x', [1, 37]);
    for (const { label, backend } of backends)
      expect(
        hostData(runOp(backend, linearArgmax, { x, weight }, { computeDtype: 'f32' }).ids)[0],
        label,
      ).toBe(0);
  }
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
        hostData(scales)[row] = -hostData(scales)[row];
        for (let i = row * 40; i < (row + 1) * 40; i++) hostData(codes)[i] = -hostData(codes)[i];
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
          const id = hostData(ids)[t];
          const exact = hostData(weight)
            .subarray(id * 40, id * 40 + 40)
            .reduce((sum, w, i) => sum + w * hostData(x)[t * 40 + i], 0);
          expect(id, label).toBeGreaterThanOrEqual(0);
          expect(hostData(logits)[t], label).toBeCloseTo(exact, 4);
        }
      }
    }
  },
);
