import { expect, test } from 'vitest';
import { adamw8bitRates } from './adamw-8bit-step.ts';

test.each([-1e-8, NaN])('an epsilon of %d is refused', (epsilon) => {
  const betas = { beta1: 0.9, beta2: 0.999 };
  const step = { learningRate: 1e-3, weightDecay: 0, step: 1, gradientScale: 1 };
  expect(() => adamw8bitRates({ ...betas, epsilon }, step)).toThrow('epsilon must be at least 0');
});
