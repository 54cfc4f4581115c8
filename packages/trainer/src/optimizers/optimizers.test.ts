import {
  hostData,
  createHostBackend,
  DTYPE_BYTES,
  elementCount,
  QdyloraError,
  viewOf,
  type ErrorCode,
} from '@qdylora/contract';
import { Parameter } from '@qdylora/tensor';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { parameterOf } from '../../test/tiny-model.ts';
import { adamw } from './adamw.ts';
import { createOptimizer, OPTIMIZER_NAMES, type OptimizerOptions } from './create-optimizer.ts';
import { MAPS_BYTES } from './dynamic-maps.ts';
import { lion } from './lion.ts';
import type { Optimizer, SavedArray } from './optimizer.ts';
import { rateTable } from './rate-table.ts';
import { sgd } from './sgd.ts';

const codeOf = (run: () => unknown): ErrorCode | undefined => {
  try {
    run();
  } catch (error) {
    return QdyloraError.isInstance(error) ? error.code : undefined;
  }
  return undefined;
};
const one = (name = 'w', values = [1, -2, 3, 4]) => parameterOf(name, [2, 2], Float32Array.from(values));

/** Paged ones with room for one page of one row at a time. */
const made = (name: string, parameters: readonly Parameter[], options: OptimizerOptions): Optimizer =>
  createOptimizer(name, parameters, {
    ...options,
    paging: {
      budgetBytes: parameters.reduce((most, { view }) => Math.max(most, 8 * view.shape[1]), 0),
      folder: temporaryFolder(),
    },
  });

function prepared(optimizer: Optimizer, gradient: readonly number[]): Optimizer {
  optimizer.prepare(createHostBackend({ poison: true }));
  for (const parameter of optimizer.parameters) hostData(parameter.gradient!).set(gradient);
  return optimizer;
}

describe('every optimizer', () => {
  it.each(OPTIMIZER_NAMES)('%s moves a weight against its gradient', (name) => {
    const weight = one();
    prepared(made(name, [weight], { learningRate: 0.1 }), [1, 1, -1, -1]).step({
      learningRate: 0.1,
      gradientScale: 1,
      rows: null,
    });
    expect(
      [...(hostData(weight.view) as Float32Array)].map((value, i) => Math.sign(value - [1, -2, 3, 4][i])),
    ).toEqual([-1, -1, 1, 1]);
  });

  it.each(OPTIMIZER_NAMES)(
    '%s leaves rows outside the given ones as they are, also under weight decay',
    (name) => {
      const weight = one();
      const optimizer = prepared(
        made(name, [weight], { learningRate: 0.1, weightDecay: 0.5, momentum: 0.9 }),
        [1, 1, 1, 1],
      );
      optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: [[1, 2]] });
      expect(
        [...(hostData(weight.view) as Float32Array)].map((value, i) => value === [1, -2, 3, 4][i]),
      ).toEqual([true, true, false, false]);
      for (const array of optimizer.state().arrays.values())
        expect([...(array.peek() as Float32Array)].map((value) => value === 0)).toEqual([
          true,
          true,
          false,
          false,
        ]);
    },
  );

  it.each(OPTIMIZER_NAMES)(
    '%s keeps every bit of weights, codes and scales of the rows that are not trained, where blocks do not ' +
      'end with rows',
    (name) => {
      const rows = 8;
      const columns = 700;
      const values = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i));
      const weight = parameterOf('w', [rows, columns], values.slice());
      const optimizer = prepared(
        made(name, [weight], { learningRate: 0.1, weightDecay: 0.5, momentum: 0.9 }),
        Array.from(values, (x) => x * x - 0.4),
      );
      optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: null });
      const all = () =>
        [hostData(weight.view), ...[...optimizer.state().arrays.values()].map((array) => array.peek()!)].map(
          (array) => array.slice() as Float32Array,
        );
      const before = all();
      hostData(weight.gradient!).forEach((x, i, data) => {
        data[i] = -50 * x * Math.cos(i);
      });
      optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: [[2, 4]] });
      all().forEach((array, at) => {
        const perRow = array.length / rows;
        const rowsThatChanged = Array.from({ length: rows }, (_, row) => row).filter((row) =>
          array.subarray(row * perRow, (row + 1) * perRow).some((x, i) => x !== before[at][row * perRow + i]),
        );
        expect(rowsThatChanged).toEqual([2, 3]);
      });
    },
  );

  it.each(OPTIMIZER_NAMES)(
    '%s holds gradients and states of the bytes that it announces, and gives them all back',
    (name) => {
      const backend = createHostBackend();
      const optimizer = made(
        name,
        [
          parameterOf('w', [16, 16], new Float32Array(256)),
          parameterOf('u', [16, 16 * 256], new Float32Array(2 ** 16)),
        ],
        { learningRate: 0.1, momentum: 0.9 },
      );
      optimizer.prepare(backend);
      expect(backend.memory.usage().liveBytes).toBe(optimizer.byteLength);
      const { residentBytes, pagedBytes } = optimizer.ledger();
      const gradientBytes = 4 * (256 + 2 ** 16);
      const arrays = [...optimizer.state().arrays.values()];
      const mapBytes = name.endsWith('8bit') ? MAPS_BYTES : 0;
      const rateBytes = name === 'sgd' ? 0 : rateTable([{ factor: 1, wideFactor: 1 }]).byteLength;
      expect(residentBytes).toBe(optimizer.byteLength - gradientBytes - mapBytes - rateBytes);
      if (pagedBytes === 0)
        expect(residentBytes).toBe(
          arrays.reduce((sum, { dtype, shape }) => sum + elementCount(shape) * DTYPE_BYTES[dtype], 0),
        );
      else expect(residentBytes).toBeLessThanOrEqual(8 * 4096);
      optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: null });
      optimizer.dispose();
      expect(backend.memory.usage().liveBytes).toBe(0);
      expect(optimizer.parameters[0].needsGradient).toBe(false);
    },
  );

  it.each(OPTIMIZER_NAMES)(
    '%s refuses a state that lacks an array, and changes nothing then',
    async (name) => {
      const optimizer = prepared(
        made(name, [one('a'), one('b')], { learningRate: 0.1, momentum: 0.9 }),
        [1, 1, 1, 1],
      );
      optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: null });
      const before = await Promise.all([...optimizer.state().arrays.values()].map((array) => array.read()));
      const saved = new Map<string, SavedArray>(
        [...optimizer.state().arrays].map(([key, { dtype }]) => [
          key,
          { dtype, length: 4, read: () => new Float32Array(4).fill(7) },
        ]),
      );
      saved.delete([...saved.keys()].at(-1)!);
      expect(codeOf(() => optimizer.load({ counts: { rows: [], rest: 9 }, arrays: saved }))).toBe(
        'BAD_RESUME',
      );
      expect(await Promise.all([...optimizer.state().arrays.values()].map((array) => array.read()))).toEqual(
        before,
      );
      expect(optimizer.state().counts.rest).toBe(1);
    },
  );

  it('says which optimizers there are when asked for another', () => {
    expect(() => createOptimizer('adafactor', [one()], { learningRate: 1 })).toThrow(
      'There is no optimizer adafactor; the optimizers are adamw_32bit, adamw_8bit, paged_adamw_32bit, ' +
        'paged_adamw_8bit, lion_8bit, sgd',
    );
  });

  it.each([
    ['no parameter', () => adamw([], { learningRate: 1 })],
    ['two of one name', () => sgd([one(), one()], { learningRate: 1 })],
    ['a negative rate', () => adamw([one()], { learningRate: -1 })],
    ['beta2 of 1', () => adamw([one()], { learningRate: 1, beta2: 1 })],
    ['epsilon 0', () => adamw([one()], { learningRate: 1, epsilon: 0 })],
    [
      'a paged one without a place for pages',
      () => createOptimizer('paged_adamw_8bit', [one()], { learningRate: 1 }),
    ],
    ["lion's beta2 of 1", () => lion([one()], { learningRate: 1, beta2: 1 })],
    [
      'a budget below one row',
      () => adamw([one()], { learningRate: 1, paging: { budgetBytes: 15, folder: '.' } }),
    ],
    ['momentum 1', () => sgd([one()], { learningRate: 1, momentum: 1 })],
    [
      'a step before prepare',
      () => adamw([one()], { learningRate: 1 }).step({ learningRate: 1, gradientScale: 1, rows: null }),
    ],
  ])('refuses %s', (_, run) => {
    expect(codeOf(run)).toBe('BAD_ARGUMENT');
  });

  it('refuses to train a weight that is no float32, by name', () => {
    const half = new Parameter('layers.0.weight', viewOf('bf16', [2], Uint16Array.of(0, 0)));
    expect(() => adamw([half], { learningRate: 1 }).prepare(createHostBackend())).toThrow(
      /The trained parameter layers\.0\.weight must be float32, but it is bf16/,
    );
  });
});

describe('8-bit states', () => {
  it('are for tensors of 4,096 elements and more, at a quarter of the bytes', () => {
    const optimizer = adamw(
      [
        parameterOf('small', [15, 273], new Float32Array(4095)),
        parameterOf('large', [16, 256], new Float32Array(4096)),
        parameterOf('vector', [5000], new Float32Array(5000)),
      ],
      { learningRate: 1, bits: 8 },
    );
    optimizer.prepare(createHostBackend());
    expect(
      [...optimizer.state().arrays].map(([name, { dtype, shape }]) => `${name} ${dtype} ${shape.join('x')}`),
    ).toEqual([
      'small.m f32 15x273',
      'small.v f32 15x273',
      'large.m u8 16x256',
      'large.m_absmax f32 16x1',
      'large.v u8 16x256',
      'large.v_absmax f32 16x1',
      'vector.m u8 1x5000',
      'vector.m_absmax f32 1x20',
      'vector.v u8 1x5000',
      'vector.v_absmax f32 1x20',
    ]);
  });

  it('of a vector cannot be trained in part, and say so', () => {
    const optimizer = prepared(
      adamw([parameterOf('bias', [5000], new Float32Array(5000))], { learningRate: 1, bits: 8 }),
      new Array<number>(5000).fill(1),
    );
    expect(() => optimizer.step({ learningRate: 1, gradientScale: 1, rows: [[0, 7]] })).toThrow(
      /bias has its 8-bit state in blocks, so all of its 5000 entries must be updated together \(got 0…7\)/,
    );
  });

  it('leave counters, weights and states as they were where a step is refused', () => {
    const optimizer = prepared(
      adamw(
        [
          parameterOf('matrix', [16, 256], new Float32Array(4096).fill(1)),
          parameterOf('bias', [5000], new Float32Array(5000)),
        ],
        { learningRate: 1, bits: 8 },
      ),
      [],
    );
    const all = () => ({
      counts: optimizer.state().counts,
      arrays: [...optimizer.state().arrays.values()].map((array) => array.peek()!.slice()),
      weights: Float32Array.from(hostData(optimizer.parameters[0].view)),
    });
    const before = all();
    for (const { gradient } of optimizer.parameters) hostData(gradient!).fill(1);
    expect(codeOf(() => optimizer.step({ learningRate: 1, gradientScale: 1, rows: [[0, 7]] }))).toBe(
      'UNSUPPORTED',
    ); // the matrix comes first, and could have been trained in part
    expect(all()).toEqual(before);
  });
});

describe('lion', () => {
  it('moves every weight by the learning rate, after decay, and follows its momentum in float64', () => {
    const weight = one();
    const optimizer = prepared(lion([weight], { learningRate: 0.1, weightDecay: 0.5 }), [0.5, -1, 2, 0]);
    const p = [1, -2, 3, 4];
    const m = [0, 0, 0, 0];
    for (const turn of [1, -4, 1]) {
      const gradient = [0.5, -1, 2, 0].map((g) => g * turn);
      hostData(weight.gradient!).set(gradient);
      optimizer.step({ learningRate: 0.1, gradientScale: 0.5, rows: null });
      gradient.forEach((g, i) => {
        p[i] = p[i] * (1 - 0.1 * 0.5) - 0.1 * Math.sign(0.9 * m[i] + 0.1 * 0.5 * g);
        m[i] = 0.99 * m[i] + 0.01 * 0.5 * g;
      });
    }
    // Three float32 roundings a step of numbers below 8.
    p.forEach((want, i) => {
      expect(Math.abs((hostData(weight.view) as Float32Array)[i] - want)).toBeLessThan(3 * 3 * 8 * 2 ** -24);
    });
  });
});

describe('weight decay', () => {
  it('shrinks matrices and leaves norms and biases alone', () => {
    const matrix = one('matrix');
    const norm = parameterOf('norm', [2], Float32Array.of(1, 1));
    const optimizer = adamw([matrix, norm], { learningRate: 0.1, weightDecay: 0.5 });
    optimizer.prepare(createHostBackend());
    for (const { gradient } of optimizer.parameters) hostData(gradient!).fill(0);
    optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: null });
    expect(Array.from(hostData(matrix.view))).toEqual(
      Array.from(Float32Array.from([1, -2, 3, 4], (value) => value * 0.95)),
    );
    expect(Array.from(hostData(norm.view))).toEqual([1, 1]);
  });
});

describe('sgd', () => {
  it("follows torch's rule with momentum and decay, step by step in float64", () => {
    const weight = one();
    const gradient = [0.5, -1, 2, 0.25];
    const optimizer = prepared(
      sgd([weight], { learningRate: 0.1, momentum: 0.9, weightDecay: 0.01 }),
      gradient,
    );
    const p = [1, -2, 3, 4];
    const u = [0, 0, 0, 0];
    for (let step = 0; step < 5; step++) {
      optimizer.step({ learningRate: 0.1, gradientScale: 0.5, rows: null });
      for (let i = 0; i < 4; i++) {
        u[i] = 0.9 * u[i] + 0.5 * gradient[i] + 0.01 * p[i];
        p[i] -= 0.1 * u[i];
      }
    }
    // Six float32 roundings a step of numbers below 8.
    p.forEach((want, i) => {
      expect(Math.abs((hostData(weight.view) as Float32Array)[i] - want)).toBeLessThan(5 * 6 * 8 * 2 ** -24);
    });
  });
});
