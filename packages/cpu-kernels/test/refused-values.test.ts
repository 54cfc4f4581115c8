import { f32View, i32View } from '@qdylora/contract';
import { adaptedLinearBackward } from '@qdylora/lora-dynamic';
import { dropout, lionStep } from '@qdylora/tensor';
import { expect, test } from 'vitest';
import { expectRefusal } from './expect-refusal.ts';

const F = (...shape: number[]) => f32View(shape);
const refusal = (message: RegExp) => ({
  code: 'BAD_ARGUMENT' as const,
  message: expect.stringMatching(message) as never,
});

test.each([1.5, -0.1, '0.5', null, undefined])(
  'dropout of the probability %s is refused before any kernel runs',
  (probability) => {
    const inputs = { x: F(4), counter: i32View([1], [0]) };
    const attributes = { probability, key: 1 };
    expectRefusal(dropout, inputs, attributes, refusal(/probability must be a number within 0…1 \(got /));
  },
);

test.each([-1, 0.5])('the gradient of an adapted layer from row %d on is refused', (trainFrom) => {
  const inputs = { dy: F(2, 3), x: F(2, 4), u: F(2, 1), weight: F(3, 4), a: F(1, 4), b: F(1, 3) };
  const layer = { rows: 3, cols: 4, blockSize: 64, nestedOffset: 0, computeDtype: 'f32', scale: 1 };
  const attributes = { ...layer, accumulate: false, trainFrom, wantsDx: true };
  const message = /trainFrom must be a whole number ≥ 0/;
  expectRefusal(adaptedLinearBackward, inputs, attributes, refusal(message));
});

test('a step of Lion whose momentum would grow is refused', () => {
  const inputs = { gradient: F(3), rates: F(3) };
  const message = /beta1 and beta2 must be at least 0 and below 1 \(got 2 and -1\)/;
  expectRefusal(lionStep, inputs, { beta1: 2, beta2: -1 }, refusal(message), { parameter: F(3), m: F(3) });
});
