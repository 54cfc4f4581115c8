import { expect, test } from 'vitest';
import { hostData, i32View, runOp } from '@qdylora/contract';
import { linearCrossEntropy } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('a target outside the vocabulary is refused, and a NaN logit makes its own loss NaN alone', () => {
  const {
    backends: [backend],
  } = levels[0];
  const x = normalView(1, 'x', [3, 4]);
  const weight = normalView(1, 'w', [5, 4]);
  const attributes = { computeDtype: 'f32' as const, lossScale: 1, gradient: false };
  for (const { backends } of levels) {
    for (const suppliedOutputs of [{}, { dWeight: normalView(1, 'dw', [5, 4]) }]) {
      // two kernels
      const refused = expect.objectContaining({
        code: 'BAD_DATA',
        message: expect.stringMatching(
          /targets must be within the vocabulary, or -100 \(got 5 at position 1\)/,
        ) as string,
      });
      expect(() =>
        runOp(
          backends[0],
          linearCrossEntropy,
          { x, weight, targets: i32View([3], [-100, 5, -1]) },
          { ...attributes, gradient: true },
          suppliedOutputs,
        ),
      ).toThrow(refused);
    }
  }
  hostData(x)[5] = NaN;
  const { tokenLosses } = runOp(
    backend!,
    linearCrossEntropy,
    { x, weight, targets: i32View([3], [0, 4, 1]) },
    attributes,
  );
  expect(Array.from(hostData(tokenLosses), Number.isNaN)).toEqual([false, true, false]);
});

test('the workspace does not grow with the number of tokens', () => {
  const backend = levels.at(-1)!.backends[0];
  const whole = backend.native('linearCrossEntropyScratch');
  const streamed = backend.native('linearCrossEntropyStreamedScratch');
  for (const scratch of [whole, (...sizes: [number, number, number]) => streamed(...sizes, true)]) {
    expect(scratch(100_000, 576, 49_152)).toBe(scratch(2_000, 576, 49_152));
    expect(scratch(100_000, 576, 49_152) * 4).toBeLessThan(32 * 2 ** 20);
  }
});
