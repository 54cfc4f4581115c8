import { describe, expect, it } from 'vitest';
import type { Communicator } from '../communicator.ts';
import { oneProcess } from '../one-process.ts';
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
    ['sums of bytes', (world) => world.allReduce(new Uint8Array(1) as never), /Only .* \(got a Uint8Array\)/],
    [
      'sums of different lengths',
      (world) => world.allReduce(floats(world.rank === 0 ? 1 : 3)),
      /Worker 1 calls all-reduce \(sum\) of Float32Array \[3\], but worker 0 calls .* \[1\]\./,
    ],
    [
      'sums of different types',
      (world) => world.allReduce(world.rank === 0 ? Int32Array.of(1) : floats(1)),
      /of Float32Array \[1\], but worker 0 calls all-reduce \(sum\) of Int32Array \[1\]\./,
    ],
    [
      'different roots',
      (world) => world.broadcast(floats(1), world.rank),
      /\(root 1\) .*, but worker 0 calls broadcast \(root 0\)/,
    ],
    ['an unknown reduction', (world) => world.allReduce(floats(2), 'mean' as never), /mean/],
    [
      'arrays of different lengths',
      (world) => world.broadcast(floats(world.rank === 0 ? 3 : 2)),
      /Worker 1 calls broadcast \(root 0\) of Float32Array \[2\], but worker 0 calls .* \[3\]\./,
    ],
    [
      'different collectives',
      (world) => (world.rank === 0 ? world.barrier() : world.broadcast(floats(1))),
      /Worker 1 calls broadcast \(root 0\) of Float32Array \[1\], but worker 0 calls barrier\./,
    ],
  ] as readonly [string, (world: Communicator) => Promise<void>, RegExp][])(
    'all refuse %s',
    async (_, call, message) => {
      for (const failure of await failuresOf(call)) expect(failure).toMatch(message);
    },
  );

  it('fail with one code where their calls do not fit together, and so does every later call', async () => {
    const [first, second] = localWorld(2);
    const failure = { code: 'COLLECTIVE_FAILED' };
    const barrier = first.barrier();
    await expect(second.allReduce(floats(1))).rejects.toMatchObject(failure);
    await expect(barrier).rejects.toMatchObject(failure);
    await expect(first.barrier()).rejects.toMatchObject(failure);
  });

  it('refuse every call after close, which waits for the calls before it', async () => {
    const [first, second] = localWorld(2);
    const values = Float32Array.of(1);
    void first.allReduce(values);
    const closed = first.close().then(() => values[0]);
    await second.allReduce(Float32Array.of(2));
    expect(await closed).toBe(3);
    await first.close();
    for (const call of [() => first.barrier(), () => first.broadcast(values)])
      await expect(call()).rejects.toMatchObject({ code: 'DISPOSED' });
  });

  it('do not wait for a worker that has left', async () => {
    const leftBefore = localWorld(3);
    await leftBefore[2].close();
    const leftAfter = localWorld(3);
    const calls = [leftBefore[0].barrier(), leftAfter[0].barrier(), leftAfter[1].barrier()];
    await leftAfter[2][Symbol.asyncDispose]();
    for (const call of calls)
      await expect(call).rejects.toMatchObject({
        code: 'COLLECTIVE_FAILED',
        message: expect.stringMatching(/Worker 0 calls barrier, but worker 2 has left/) as string,
      });
  });

  it('are all ended by the abort of one', async () => {
    const [first, second] = localWorld(2);
    const waiting = first.barrier();
    const failure = { code: 'COLLECTIVE_FAILED' };
    expect(() => second.abort(3)).toThrow(expect.objectContaining(failure));
    await expect(waiting).rejects.toMatchObject(failure);
  });
});

it('a world of one worker refuses sums of bytes and unknown reductions, too', async () => {
  await using world = oneProcess();
  for (const [values, reduction] of [
    [new Uint8Array(1), 'sum'],
    [floats(1), 'mean'],
  ])
    await expect(world.allReduce(values as never, reduction as never)).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
    });
});
