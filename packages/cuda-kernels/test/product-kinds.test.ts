import { repeatedCall, runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { linear } from '@qdylora/tensor';
import { describe, expect, test } from 'vitest';
import type { CudaBackendOptions } from '../src/index.ts';
import { NOTHING, openFakeDriver, withFakeBackend, type LoggedCall } from './fake-driver.ts';

// How many kinds of product a backend keeps of cuBLASLt, here that of the fake driver. A kind is one count of
// rows: each has four things of the library.

const library = (await openFakeDriver())!;
const BY_LIBRARY: CudaBackendOptions = { products: 'library', cublasPath: library };

/** As in src/products/cublas-products.ts. */
const MOST_KINDS = 128;
const THINGS_OF_KIND = 4;
const COLUMNS = 8;
const [ONE, TWO] = [0x3f80, 0x4000];

const filled = (backend: Backend, rows: number, bits: number): ArrayView<'bf16'> => {
  const view = backend.memory.allocate('bf16', [rows, COLUMNS]);
  backend.memory.fill(view, (elements) => elements.fill(bits));
  return view;
};

/** x · wᵀ of as many rows; both of ones. */
async function multiply(backend: Backend, rows: number): Promise<readonly number[]> {
  const { memory } = backend;
  const [x, weight] = [filled(backend, rows, ONE), filled(backend, COLUMNS, ONE)];
  const { y } = runOp(backend, linear, { x, weight }, { computeDtype: 'bf16' });
  const products = [...(await memory.read(y))];
  for (const view of [x, weight, y]) memory.release(view);
  return products;
}

const countOf = (calls: readonly LoggedCall[], wanted: string): number =>
  calls.filter(({ name }) => name === wanted).length;

const describedKinds = (calls: readonly LoggedCall[]): number => countOf(calls, 'cublasLtMatmulDescCreate');

describe.skipIf(!library)('kinds of product of cuBLASLt', () => {
  test(`are ${MOST_KINDS} at most, and those that were used last are kept`, async () => {
    const logged = await withFakeBackend(
      library,
      'capability=8.0',
      async (backend) => {
        for (let rows = 1; rows <= MOST_KINDS; rows++) await multiply(backend, rows);
        await multiply(backend, 1); // the first one is the newest now
        await multiply(backend, MOST_KINDS + 1); // in place of the second one
        expect(await multiply(backend, 1)).toEqual(Array<number>(COLUMNS).fill(8));
        expect(await multiply(backend, 2)).toEqual(Array<number>(2 * COLUMNS).fill(8));
      },
      BY_LIBRARY,
    );
    expect(countOf(logged, 'cublasLtMatmul')).toBe(MOST_KINDS + 4);
    expect(describedKinds(logged)).toBe(MOST_KINDS + 2); // the second one twice
    const kept = 1 + THINGS_OF_KIND * MOST_KINDS; // and the library's handle
    const most = Math.max(...logged.map(({ ledger }) => ledger.blas));
    expect(most).toBeGreaterThan(kept);
    expect(most).toBeLessThanOrEqual(kept + THINGS_OF_KIND + 1); // while one more is made, with a preference
    expect(logged.findLast(({ name }) => name === 'cublasLtMatmul')!.ledger.blas).toBe(kept);
    expect(logged.at(-1)!.ledger).toEqual(NOTHING);
  });

  test('are made again for a recording that outlives them', async () => {
    const logged = await withFakeBackend(
      library,
      'capability=8.0 seed=2',
      async (backend) => {
        const [x, weight] = [filled(backend, 200, ONE), filled(backend, COLUMNS, ONE)];
        using call = repeatedCall(
          backend,
          (inner) => runOp(inner, linear, { x, weight }, { computeDtype: 'bf16' }).y,
        );
        const want = (sum: number): number[] => Array<number>(200 * COLUMNS).fill(sum);
        expect([...(await backend.memory.read(call.run()))]).toEqual(want(8));
        for (let rows = 1; rows <= MOST_KINDS; rows++) await multiply(backend, rows);
        backend.memory.fill(x, (elements) => elements.fill(TWO));
        expect([...(await backend.memory.read(call.run()))]).toEqual(want(16)); // captured now
        backend.memory.fill(x, (elements) => elements.fill(ONE));
        expect([...(await backend.memory.read(call.run()))]).toEqual(want(8));
      },
      BY_LIBRARY,
    );
    expect(describedKinds(logged)).toBe(MOST_KINDS + 2);
    expect(countOf(logged, 'cuGraphLaunch')).toBe(2);
    expect(logged.at(-1)!.ledger).toEqual(NOTHING);
  });
});
