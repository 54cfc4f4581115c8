import { expect, it } from 'vitest';
import type { MemoryPlan } from '../../recipes/plan-memory.ts';
import { timeLine } from './time-line.ts';

const lineAt = (operationsPerSecond: number, maxSteps = 100, tokensPerSecond = 1024): string =>
  timeLine({
    time: { stepSeconds: 2, runSeconds: 2 * maxSteps, tokensPerSecond, operationsPerSecond },
    config: { microBatchSize: 4, gradientAccumulationSteps: 2, maxSeqLength: 256, maxSteps },
  } as MemoryPlan);

it.each([
  [1.14e11, '110 GFLOP/s'],
  [7.26e10, '73 GFLOP/s'],
  [3.4e8, '0.34 GFLOP/s'],
])('%f operations a second are written without an exponent', (operationsPerSecond, text) => {
  expect(lineAt(operationsPerSecond)).toContain(`multiplication at ${text};`);
});

it.each([
  [0.0216, '(0.022 tokens/s'],
  [3.14, '(3.1 tokens/s'],
  [1024, '(1,024 tokens/s'],
])('a rate of %d is never written as 0', (tokensPerSecond, text) => {
  expect(lineAt(1e11, 100, tokensPerSecond)).toContain(text);
});

it('a run of one step has no plural', () => {
  expect(lineAt(1e11, 1)).toContain('2.0 s for one step (');
});
