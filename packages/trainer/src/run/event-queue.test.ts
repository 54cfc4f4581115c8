import { describe, expect, it } from 'vitest';
import { eventQueue, type EventQueue } from './event-queue.ts';
import type { TrainEvent } from './train-events.ts';

const step = (n: number): TrainEvent => ({
  type: 'step',
  step: n,
  totalSteps: 9,
  epoch: 0,
  loss: 1,
  smoothedLoss: 1,
  rank: 1,
  ranks: [1],
  learningRate: 1,
  gradNorm: 1,
  tokens: 1,
  tokensPerSecond: 1,
  stepSeconds: 1,
  residentBytes: 1,
  optimizerResidentBytes: 1,
  optimizerPagedBytes: 0,
  pageIns: 0,
  pageWaitSeconds: 0,
});
const warning = (n: number): TrainEvent => ({ type: 'warning', code: 'NO_TOKENS', message: '', step: n });
const queueOf = (maxWaiting?: number): EventQueue<TrainEvent> =>
  eventQueue({ isDroppable: ({ type }) => type === 'step', maxWaiting });
const drained = async (queue: AsyncIterable<TrainEvent>): Promise<[string, number][]> => {
  const seen: [string, number][] = [];
  for await (const event of queue) if ('step' in event) seen.push([event.type, event.step]);
  return seen;
};

describe('the event queue', () => {
  it('hands events on in order, those from before the reader came too', async () => {
    const queue = queueOf();
    queue.push(step(1));
    const reading = drained(queue);
    queue.push(warning(1));
    await Promise.resolve();
    queue.push(step(2));
    queue.close();
    expect(await reading).toEqual([
      ['step', 1],
      ['warning', 1],
      ['step', 2],
    ]);
  });

  it('drops the oldest steps where nobody reads, and never anything else', async () => {
    const queue = queueOf(3);
    for (let n = 1; n <= 100; n++) {
      queue.push(step(n));
      if (n % 40 === 0) queue.push(warning(n));
    }
    queue.close();
    expect(await drained(queue)).toEqual([
      ['warning', 40],
      ['warning', 80],
      ['step', 98],
      ['step', 99],
      ['step', 100],
    ]);
  });

  it('gives all that there is before it throws the error it was closed with', async () => {
    const queue = queueOf();
    const seen: TrainEvent[] = [];
    queue.push(step(1));
    queue.close(new Error('over'));
    await expect(
      (async () => {
        for await (const event of queue) seen.push(event);
      })(),
    ).rejects.toThrow('over');
    expect(seen.length).toBe(1);
  });

  it(
    'gives each of two readers all events from when it begins, the first one those of before too, and ' +
      'ends both',
    async () => {
      const queue = queueOf();
      queue.push(step(1));
      const first = drained(queue);
      queue.push(step(2));
      const second = drained(queue);
      for (let n = 3; n <= 5; n++) {
        queue.push(step(n));
        await Promise.resolve();
      }
      queue.push(warning(5));
      queue.close();
      expect((await first).map(([, n]) => n)).toEqual([1, 2, 3, 4, 5, 5]);
      expect((await second).map(([, n]) => n)).toEqual([3, 4, 5, 5]);
    },
  );

  it('throws the error it was closed with at each reader, also at one that begins later', async () => {
    const queue = queueOf();
    const both = [drained(queue), drained(queue)];
    queue.push(step(1));
    queue.close(new Error('over'));
    for (const reading of [...both, drained(queue)]) await expect(reading).rejects.toThrow('over');
  });

  it(
    'loses nothing of what a reader that keeps up gets where another one stands still, of which it drops ' +
      'the oldest steps only',
    async () => {
      const queue = queueOf(3);
      const still = queue[Symbol.asyncIterator]();
      const reading = drained(queue);
      for (let n = 1; n <= 10; n++) {
        queue.push(step(n));
        if (n === 5) queue.push(warning(n));
        await Promise.resolve();
        await Promise.resolve();
      }
      queue.close();
      expect((await reading).map(([, n]) => n)).toEqual([1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10]);
      expect((await drained({ [Symbol.asyncIterator]: () => still })).map(([, n]) => n)).toEqual([
        5, 8, 9, 10,
      ]);
    },
  );

  it(
    'keeps what the last reader had not read when it left for the next one, and nothing for one that ' +
      'leaves beside others',
    async () => {
      const queue = queueOf();
      const left = queue[Symbol.asyncIterator]();
      const stays = queue[Symbol.asyncIterator]();
      for (let n = 1; n <= 3; n++) queue.push(step(n));
      await left.return!();
      expect(await left.next()).toEqual({ done: true, value: undefined });
      expect(await stays.next()).toMatchObject({ value: { step: 1 } });
      await stays.return!();
      queue.push(step(4));
      queue.close();
      expect((await drained(queue)).map(([, n]) => n)).toEqual([2, 3, 4]);
    },
  );

  it(
    'answers calls that were made before there was an event in their order, and those of a reader that ' +
      'leaves with the end',
    async () => {
      const queue = queueOf();
      const reader = queue[Symbol.asyncIterator]();
      const calls = [reader.next(), reader.next(), reader.next()];
      queue.push(step(1));
      queue.push(step(2));
      await reader.return!();
      expect(await Promise.all(calls)).toEqual([
        { done: false, value: step(1) },
        { done: false, value: step(2) },
        { done: true, value: undefined },
      ]);
    },
  );

  it('keeps the first way in which it was closed', async () => {
    const queue = queueOf();
    queue.close();
    queue.close(new Error('too late'));
    expect(await drained(queue)).toEqual([]);
  });
});
