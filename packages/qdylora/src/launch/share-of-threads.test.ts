import { localWorld } from '@qdylora/collectives';
import { expect, it } from 'vitest';
import { placesText, placeWorkers } from './place-workers.ts';
import { shareOfThreads } from './share-of-threads.ts';

type Place = Parameters<typeof shareOfThreads>[0][number];

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
const on = (processors: readonly number[], host = 'a'): Place => ({ host, processors });

it.each<[string, Place[], number, (number | null)[]]>([
  ['is bound to a socket of its own', [on(range(0, 8)), on(range(8, 16))], 8, [null, null]],
  ['shares all processors', [on(range(0, 8)), on(range(0, 8))], 8, [4, 4]],
  ['shares them with two others', [on(range(0, 3)), on(range(0, 3)), on(range(0, 3))], 3, [1, 1, 1]],
  ['shares some of them', [on(range(0, 4)), on(range(2, 6))], 4, [3, 3]],
  ['has one thread on a crowded machine', [on([0]), on([0]), on([0])], 1, [1, 1, 1]],
  ['shares what a quota leaves', [on(range(0, 8)), on(range(0, 8))], 4, [2, 2]],
  ['does not share with another host', [on(range(0, 4), 'a'), on(range(0, 4), 'b')], 4, [null, null]],
  ['is on a system that does not say', [on([]), on([])], 4, [null, null]],
])('a worker that %s has its threads', (_, workers, usable, threads) => {
  expect(workers.map((_worker, rank) => shareOfThreads(workers, rank, usable))).toEqual(threads);
});

it('workers of one process share its processors, and are named by their process', async () => {
  const [first, second] = await Promise.all(localWorld(2).map((world) => placeWorkers(world, null)));
  expect(first).toEqual(second);
  expect(shareOfThreads(first, 0, 2)).toBe(shareOfThreads(second, 1, 2));
  const host = `${process.pid} on ${first[0].host}`;
  expect(placesText(first)).toBe(`2 workers, by process: 0 is ${host}, 1 is ${host}.`);
});
