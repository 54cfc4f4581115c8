import { describe, expect, it } from 'vitest';
import type { Communicator } from '../communicator.ts';
import { localWorld } from './local-world.ts';

/** What each of two workers is refused with. */
const failuresOf = (call: (world: Communicator) => Promise<void>): Promise<string[]> =>
  Promise.all(
    localWorld(2).map((world) =>
      call(world).then(
        () => 'nothing',
        (error: unknown) => (error as Error).message,
      ),
    ),
  );

const floats = (length: number): Float32Array => new Float32Array(length);

describe('workers of one process', () => {
  it.each([
    ['a part that does not fit', (world) => world.allGather(floats(2), floats(3)), /2 parts of equal length/],
    ['parts of unequal length', (world) => world.allToAll(floats(3), floats(3)), /2 parts of equal length/],
    [
      'arrays of two types',
      (world) => world.allGather(floats(2), new Int32Array(4) as never),
      /have one type/,
    ],
    ['a root that is no worker', (world) => world.broadcast(floats(2), 2), /from 0 to 1 \(got 2\)/],
    ['an unknown reduction', (world) => world.allReduce(floats(2), 'mean' as never), /mean/],
    [
      'arrays of different lengths',
      (world) => world.broadcast(floats(world.rank === 0 ? 3 : 2)),
      /offset is out of bounds/,
    ],
    [
      'different collectives',
      (world) => (world.rank === 0 ? world.barrier() : world.broadcast(floats(1))),
      /Worker 1 calls broadcast, another one barrier/,
    ],
  ] as readonly [string, (world: Communicator) => Promise<void>, RegExp][])(
    'all refuse %s',
    async (_, call, message) => {
      for (const failure of await failuresOf(call)) expect(failure).toMatch(message);
    },
  );
});
