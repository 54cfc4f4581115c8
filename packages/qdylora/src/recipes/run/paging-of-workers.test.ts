import { localWorld } from '@qdylora/collectives';
import { createHostBackend } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../../test/tiny-model.ts';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import { pagingOf } from './assemble-run.ts';
import { countWorkersOnHost } from './count-workers-on-host.ts';
import { prepareRun } from './prepare-run.ts';

const place = temporaryPlace();
const model = writeTinyModel(place.in('model'));
const dataset = writeTinyRows(place.in('rows.jsonl'));
const { memory } = createHostBackend();

/** The default budget of the states of one of several workers on a host with 1000 free bytes. */
function budgetOf(workersOnHost: number, freeBytes?: () => number): number {
  const options = { model, dataset, outputDir: place.in('run'), optimizer: 'paged_adamw_8bit' } as const;
  const backend = { memory: { ...memory, freeBytes } };
  const host = { workersOnHost, available: () => 1000 };
  return pagingOf(prepareRun(valuesOfOptions(options)), backend, host)!.budgetBytes;
}

it('the default budgets of the workers of a host are together half of its free memory', () => {
  expect([1, 2, 5].map((workers) => budgetOf(workers))).toEqual([500, 250, 100]);
});

it('each worker with a device of its own may use half of the memory of that', () => {
  expect([1, 2, 5].map((workers) => budgetOf(workers, () => 800))).toEqual([400, 400, 400]);
});

it('workers are counted by host', async () => {
  const hosts = ['a', 'b', 'a', 'a'];
  const counts = await Promise.all(localWorld(4).map((world, i) => countWorkersOnHost(world, hosts[i])));
  expect(counts).toEqual([3, 1, 3, 3]);
});
