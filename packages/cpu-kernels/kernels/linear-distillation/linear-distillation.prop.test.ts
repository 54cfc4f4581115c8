import { f32View, hostData, i32View, runOp } from '@qdylora/contract';
import { linearCrossEntropy, linearCrossEntropyTopK, linearDistillation } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { expect, test } from 'vitest';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const attributes = { computeDtype: 'bf16' as const, lossScale: 1, gradient: true };

test('yielding the most likely classes leaves the bits of loss and gradient as they are', () => {
  const inputs = {
    x: normalView(1, 'x', [40, 33]),
    weight: normalView(1, 'w', [1030, 33]),
    targets: i32View(
      [40],
      Array.from({ length: 40 }, (_, t) => (t % 7 === 0 ? -100 : t * 25)),
    ),
  };
  for (const { backends } of levels) {
    const plain = runOp(backends[0], linearCrossEntropy, inputs, attributes);
    const taught = runOp(backends[0], linearCrossEntropyTopK, inputs, { ...attributes, topK: 64 });
    for (const name of ['loss', 'tokenLosses', 'dx'] as const)
      expect(hostData(taught[name]!)).toEqual(hostData(plain[name]!));
  }
});

test('an id outside the vocabulary is refused, except where the target is ignored', () => {
  const inputs = {
    x: normalView(1, 'x', [2, 4]),
    weight: normalView(1, 'w', [5, 4]),
    targets: i32View([2], [-100, 3]),
    topLogProbabilities: f32View([2, 1]),
    tailMass: f32View([2]),
  };
  for (const { backends } of levels) {
    const learn = (ids: number[]) =>
      runOp(
        backends[0],
        linearDistillation,
        { ...inputs, topIds: i32View([2, 1], ids) },
        { ...attributes, distillation: 0.5 },
      );
    expect(() => learn([9, 4])).not.toThrow();
    for (const id of [5, -1])
      expect(() => learn([0, id])).toThrow(
        `ids of soft targets must be within the vocabulary (got ${id} at position 1)`,
      );
  }
});

test('the workspace does not grow with the number of tokens', () => {
  const { native } = levels.at(-1)!.backends[0];
  for (const name of ['linearCrossEntropyTopKScratch', 'linearDistillationScratch']) {
    const floats = (tokens: number) => native(name)(tokens, 576, 49_152, 64, true);
    expect(floats(100_000)).toBe(floats(2_000));
    expect(floats(100_000) * 4).toBeLessThan(32 * 2 ** 20);
  }
});
