import { createHostBackend, QdyloraError, viewOf, type ErrorCode } from '@qdylora/contract';
import { Parameter } from '@qdylora/tensor';
import { describe, expect, it } from 'vitest';
import { parameterOf } from '../../test/tiny-model.ts';
import { adamw } from './adamw.ts';
import { createOptimizer, OPTIMIZER_NAMES } from './create-optimizer.ts';
import type { Optimizer, SavedArray } from './optimizer.ts';
import { sgd } from './sgd.ts';

const codeOf = (run: () => unknown): ErrorCode | undefined => {
  try { run(); } catch (error) { return QdyloraError.isInstance(error) ? error.code : undefined; }
  return undefined;
};
const one = (name = 'w', values = [1, -2, 3, 4]) => parameterOf(name, [2, 2], Float32Array.from(values));

function prepared(optimizer: Optimizer, gradient: readonly number[]): Optimizer {
  optimizer.prepare(createHostBackend({ poison: true }));
  for (const parameter of optimizer.parameters) parameter.gradient!.data.set(gradient);
  return optimizer;
}

describe('every optimizer', () => {
  it.each(OPTIMIZER_NAMES)('%s moves a weight against its gradient', (name) => {
    const weight = one();
    prepared(createOptimizer(name, [weight], { learningRate: 0.1 }), [1, 1, -1, -1]).step({ learningRate: 0.1, gradientScale: 1, rows: null });
    expect([...weight.view.data as Float32Array].map((value, i) => Math.sign(value - [1, -2, 3, 4][i]!))).toEqual([-1, -1, 1, 1]);
  });

  it.each(OPTIMIZER_NAMES)('%s leaves rows outside the given ones as they are, also under weight decay', (name) => {
    const weight = one(), optimizer = prepared(createOptimizer(name, [weight], { learningRate: 0.1, weightDecay: 0.5, momentum: 0.9 }), [1, 1, 1, 1]);
    optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: [[1, 2]] });
    expect([...weight.view.data as Float32Array].map((value, i) => value === [1, -2, 3, 4][i])).toEqual([true, true, false, false]);
    for (const array of optimizer.state().arrays.values()) expect([...array.peek() as Float32Array].map((value) => value === 0)).toEqual([true, true, false, false]);
  });

  it.each(OPTIMIZER_NAMES)('%s holds gradients and states of the bytes that it announces, and gives them all back', (name) => {
    const backend = createHostBackend(), optimizer = createOptimizer(name, [parameterOf('w', [16, 16], new Float32Array(256))], { learningRate: 0.1, momentum: 0.9 });
    optimizer.prepare(backend);
    expect(backend.memory.usage().liveBytes).toBe(optimizer.byteLength);
    optimizer.dispose();
    expect(backend.memory.usage().liveBytes).toBe(0);
    expect(optimizer.parameters[0]!.needsGradient).toBe(false);
  });

  it.each(OPTIMIZER_NAMES)('%s refuses a state that lacks an array, and changes nothing then', async (name) => {
    const optimizer = prepared(createOptimizer(name, [one('a'), one('b')], { learningRate: 0.1, momentum: 0.9 }), [1, 1, 1, 1]);
    optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: null });
    const before = await Promise.all([...optimizer.state().arrays.values()].map((array) => array.read()));
    const saved = new Map<string, SavedArray>([...optimizer.state().arrays].map(([key, { dtype }]) => [key, { dtype, length: 4, read: () => new Float32Array(4).fill(7) }]));
    saved.delete([...saved.keys()].at(-1)!);
    expect(codeOf(() => optimizer.load({ counts: { rows: [], rest: 9 }, arrays: saved }))).toBe('BAD_RESUME');
    expect(await Promise.all([...optimizer.state().arrays.values()].map((array) => array.read()))).toEqual(before);
    expect(optimizer.state().counts.rest).toBe(1);
  });

  it('says which optimizers there are when asked for another', () => {
    expect(() => createOptimizer('lion_8bit', [one()], { learningRate: 1 })).toThrow(/expected one of adamw_32bit, sgd for optimizer, got lion_8bit/);
  });

  it.each([
    ['no parameter', () => adamw([], { learningRate: 1 })], ['two of one name', () => sgd([one(), one()], { learningRate: 1 })],
    ['a negative rate', () => adamw([one()], { learningRate: -1 })], ['beta2 of 1', () => adamw([one()], { learningRate: 1, beta2: 1 })],
    ['epsilon 0', () => adamw([one()], { learningRate: 1, epsilon: 0 })], ['momentum 1', () => sgd([one()], { learningRate: 1, momentum: 1 })],
    ['a step before prepare', () => adamw([one()], { learningRate: 1 }).step({ learningRate: 1, gradientScale: 1, rows: null })],
  ])('refuses %s', (_, run) => { expect(codeOf(run)).toBe('BAD_ARGUMENT'); });

  it('refuses to train a weight that is no float32, by name', () => {
    const half = new Parameter('layers.0.weight', viewOf('bf16', [2], Uint16Array.of(0, 0)));
    expect(() => adamw([half], { learningRate: 1 }).prepare(createHostBackend())).toThrow(/float32 for the trained parameter layers\.0\.weight, got bf16/);
  });
});

describe('weight decay', () => {
  it('shrinks matrices and leaves norms and biases alone', () => {
    const matrix = one('matrix'), norm = parameterOf('norm', [2], Float32Array.of(1, 1));
    const optimizer = adamw([matrix, norm], { learningRate: 0.1, weightDecay: 0.5 });
    optimizer.prepare(createHostBackend());
    for (const { gradient } of optimizer.parameters) gradient!.data.fill(0);
    optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: null });
    expect(Array.from(matrix.view.data)).toEqual(Array.from(Float32Array.from([1, -2, 3, 4], (value) => value * 0.95)));
    expect(Array.from(norm.view.data)).toEqual([1, 1]);
  });
});

describe('sgd', () => {
  it('follows torch\'s rule with momentum and decay, step by step in float64', () => {
    const weight = one(), gradient = [0.5, -1, 2, 0.25], optimizer = prepared(sgd([weight], { learningRate: 0.1, momentum: 0.9, weightDecay: 0.01 }), gradient);
    const p = [1, -2, 3, 4], u = [0, 0, 0, 0];
    for (let step = 0; step < 5; step++) {
      optimizer.step({ learningRate: 0.1, gradientScale: 0.5, rows: null });
      for (let i = 0; i < 4; i++) {
        u[i] = 0.9 * u[i]! + 0.5 * gradient[i]! + 0.01 * p[i]!;
        p[i]! -= 0.1 * u[i]!;
      }
    }
    // Six float32 roundings a step of numbers below 8.
    p.forEach((want, i) => { expect(Math.abs((weight.view.data as Float32Array)[i]! - want)).toBeLessThan(5 * 6 * 8 * 2 ** -24); });
  });
});
