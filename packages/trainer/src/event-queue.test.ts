import { describe, expect, it } from 'vitest';
import { eventQueue, type EventQueue } from './event-queue.ts';
import type { TrainEvent } from './train-events.ts';

const step = (n: number): TrainEvent => ({ type: 'step', step: n, totalSteps: 9, epoch: 0, loss: 1, rank: 1, learningRate: 1, gradNorm: 1, tokens: 1, tokensPerSecond: 1, stepSeconds: 1, residentBytes: 1, optimizerResidentBytes: 1, optimizerPagedBytes: 0, pageIns: 0, pageWaitSeconds: 0 });
const warning = (n: number): TrainEvent => ({ type: 'warning', code: 'NO_TOKENS', message: '', step: n });
const queueOf = (mostWaiting?: number): EventQueue<TrainEvent> => eventQueue({ isDroppable: ({ type }) => type === 'step', mostWaiting });
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
    expect(await reading).toEqual([['step', 1], ['warning', 1], ['step', 2]]);
  });

  it('drops the oldest steps where nobody reads, and never anything else', async () => {
    const queue = queueOf(3);
    for (let n = 1; n <= 100; n++) { queue.push(step(n)); if (n % 40 === 0) queue.push(warning(n)); }
    queue.close();
    expect(await drained(queue)).toEqual([['warning', 40], ['warning', 80], ['step', 98], ['step', 99], ['step', 100]]);
    expect(queue.pushed).toBe(102);
  });

  it('gives all that there is before it throws the error it was closed with', async () => {
    const queue = queueOf(), seen: TrainEvent[] = [];
    queue.push(step(1));
    queue.close(new Error('over'));
    await expect((async () => { for await (const event of queue) seen.push(event); })()).rejects.toThrow('over');
    expect(seen.length).toBe(1);
  });

  it('shares the events between two readers, and ends both', async () => {
    const queue = queueOf(), both = Promise.all([drained(queue), drained(queue)]);
    for (let n = 1; n <= 5; n++) { queue.push(step(n)); await Promise.resolve(); }
    queue.close();
    expect((await both).flat().map(([, n]) => n).sort()).toEqual([1, 2, 3, 4, 5]);
  });

  it('keeps the first way in which it was closed', async () => {
    const queue = queueOf();
    queue.close();
    queue.close(new Error('too late'));
    expect(await drained(queue)).toEqual([]);
  });
});
