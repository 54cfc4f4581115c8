import { ALL_CASES, checkConformance } from '@qdylora/testing/conformance';
import { afterAll, expect, test } from 'vitest';
import { createCudaBackend, cudaOpNames } from '../src/index.ts';
import { WORK_SIZE, workOf } from './device-work.ts';

// The conformance of all kernels on this machine's GPU, through its driver: `npm run test:gpu`. Two backends
// on the device must give equal bits.

const backends = await Promise.all([createCudaBackend(), createCudaBackend({ regionBytes: 2 ** 20 })]);
afterAll(() => {
  for (const backend of backends) backend.dispose();
});
const groups = [{ label: backends[0].level, backends }];
const ops = cudaOpNames();

for (const one of ALL_CASES.filter(({ op }) => ops.has(op.name)))
  test(`${one.op.name} agrees with its reference ${one.title}`, () => checkConformance(groups, [one]));

test('copies, kernels and recordings give the same bits on both backends', async () => {
  const results = await Promise.all(backends.map(workOf));
  expect(results[1]).toEqual(results[0]);
  expect([...results[0].slice(0, 2 * WORK_SIZE)].every((value) => value === 3)).toBe(true);
});
