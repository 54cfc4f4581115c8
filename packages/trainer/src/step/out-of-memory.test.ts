import { createHash } from 'node:crypto';
import {
  hostData,
  createHostBackend,
  createRng,
  InsufficientMemoryError,
  QdyloraError,
} from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import { withFailingMemory } from '@qdylora/testing';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { tinyAdapted, tinyBatches, tinyModel } from '../../test/tiny-model.ts';
import { createOptimizer, OPTIMIZER_NAMES, trainStep, type Optimizer } from '../index.ts';

/**
 * A step over two micro batches with dropout and recompute; adapters of 64 x 64, so that 8-bit states and
 * pages take part.
 */
function tinyStep(name: string) {
  const memory = withFailingMemory(createHostBackend({ poison: true }));
  const adapted = tinyAdapted({ dropout: 0.2, ranks: [1, 16, 64] }, tinyModel(memory.backend, 3, 64));
  const parameters = adapted.parameters();
  const optimizer = createOptimizer(name, parameters, {
    learningRate: 1e-2,
    weightDecay: 0.1,
    momentum: 0.9,
    paging: { budgetBytes: 6000, folder: temporaryFolder() },
  });
  const batches = tinyBatches(24, 1, 2);
  const step = (at: number) =>
    trainStep(adapted.atRank(1), batches.batchAt(at), optimizer, {
      recompute: true,
      dropout: { rng: createRng(5), step: at },
    });
  return { memory, parameters, optimizer, step };
}

const digestOf = (arrays: readonly (Float32Array | Uint8Array)[]): string =>
  arrays
    .reduce(
      (hash, array) => hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)),
      createHash('sha256'),
    )
    .digest('hex');
const weightsOf = (parameters: readonly Parameter[]): string =>
  digestOf(parameters.map(({ view }) => hostData(view) as Float32Array));

/** Counters, and a digest of every weight and every array of state. */
const everything = (optimizer: Optimizer, parameters: readonly Parameter[]) => {
  const { counts, arrays } = optimizer.state();
  return {
    counts,
    weights: weightsOf(parameters),
    state: digestOf([...arrays.values()].map((array) => array.peek() as Uint8Array)),
  };
};

async function refusal(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return null;
}

describe.each(OPTIMIZER_NAMES)('where memory runs out with %s', (name) => {
  it('at any allocation of prepare, nothing stays allocated, and the call can be repeated', () => {
    const { memory, parameters, optimizer } = tinyStep(name);
    const { backend } = memory;
    const { liveBytes } = backend.memory.usage();
    const before = memory.allocations;
    optimizer.prepare(backend);
    const allocations = memory.allocations - before;
    optimizer.dispose();
    for (let call = 1; call <= allocations; call++) {
      memory.failAt(memory.allocations + call);
      expect(() => optimizer.prepare(backend), `allocation ${call}`).toThrow(InsufficientMemoryError);
      expect(backend.memory.usage().liveBytes, `allocation ${call}`).toBe(liveBytes);
      expect(
        parameters.some(({ needsGradient }) => needsGradient),
        `allocation ${call}`,
      ).toBe(false);
    }
    memory.failAt(null);
    optimizer.prepare(backend);
    expect(optimizer.state().counts).toEqual({ rows: [], rest: 0 });
    optimizer.dispose();
    expect(backend.memory.usage().liveBytes).toBe(liveBytes);
  });

  it(
    'at any allocation of the first step, it is an InsufficientMemoryError, nothing leaks, no weight, ' +
      'state or counter has changed, and the next try computes the same bits',
    async () => {
      const whole = tinyStep(name);
      const before = whole.memory.allocations;
      await whole.step(0);
      const { allocations } = whole.memory;
      const expected = everything(whole.optimizer, whole.parameters);
      expect(allocations - before).toBeGreaterThan(50);
      const { memory, parameters, optimizer, step } = tinyStep(name);
      const weights = weightsOf(parameters);
      const { liveBytes } = memory.backend.memory.usage();
      for (let call = 1; call <= allocations - before; call++) {
        memory.failAt(memory.allocations + call);
        const error = await refusal(() => step(0));
        expect(
          error instanceof InsufficientMemoryError && QdyloraError.isInstance(error) && error.code,
          `allocation ${call}: ${String(error)}`,
        ).toBe('OUT_OF_MEMORY');
        expect(weightsOf(parameters), `allocation ${call}`).toBe(weights);
        optimizer.dispose(); // the next try prepares again
        expect(memory.backend.memory.usage().liveBytes, `allocation ${call}`).toBe(liveBytes);
      }
      memory.failAt(null);
      await step(0);
      expect(everything(optimizer, parameters)).toEqual(expected);
    },
  );

  it(
    'at any allocation of a later step, weights, state and counters are those of the step before, and the ' +
      'next try computes the same bits',
    async () => {
      const whole = tinyStep(name);
      await whole.step(0);
      const before = whole.memory.allocations;
      await whole.step(1);
      const expected = everything(whole.optimizer, whole.parameters);
      const { memory, parameters, optimizer, step } = tinyStep(name);
      await step(0);
      const unchanged = everything(optimizer, parameters);
      const { liveBytes } = memory.backend.memory.usage();
      for (let call = 1; call <= whole.memory.allocations - before; call++) {
        memory.failAt(memory.allocations + call);
        expect(await refusal(() => step(1)), `allocation ${call}`).toBeInstanceOf(InsufficientMemoryError);
        expect(
          [memory.backend.memory.usage().liveBytes, weightsOf(parameters)],
          `allocation ${call}`,
        ).toEqual([liveBytes, unchanged.weights]);
      }
      expect(everything(optimizer, parameters)).toEqual(unchanged);
      memory.failAt(null);
      await step(1);
      expect(everything(optimizer, parameters)).toEqual(expected);
    },
  );
});
