import { QdyloraError } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { gpuOfWorker } from './gpu-of-worker.ts';

type Place = Parameters<typeof gpuOfWorker>[0][number];

const on = (gpus: string[] | null, host = 'a'): Place => ({ host, gpus });
const TWO = ['0000:17:00', '0000:65:00'];

it.each<[string, Place[], (number | null)[]]>([
  ['that share two GPUs', [on(TWO), on(TWO)], [0, 1]],
  ['of two hosts', [on(TWO, 'a'), on(TWO, 'b'), on(TWO, 'a'), on(TWO, 'b')], [0, 0, 1, 1]],
  ['of which each is shown another GPU', [on([TWO[0]]), on([TWO[1]])], [0, 0]],
  ['of which one trains on the CPU', [on(null), on(TWO)], [null, 0]],
])('workers %s each take their own', (_, workers, devices) => {
  expect(workers.map((_worker, rank) => gpuOfWorker(workers, rank))).toEqual(devices);
});

it('more workers than GPUs are refused on all of them, with both numbers', () => {
  const workers = [on(TWO, 'b'), on(TWO), on(TWO), on(TWO)];
  for (const rank of workers.keys()) {
    const refusal = (): unknown => gpuOfWorker(workers, rank);
    expect(refusal).toThrow(QdyloraError);
    expect(refusal).toThrow(
      '[cuda] 3 workers of host a share 2 GPUs, but each worker needs one of its own. ' +
        'Start at most 2 on this host (launch -n), or use --backend cpu.',
    );
  }
});
