import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { callQueue } from './call-queue.ts';

const queueWith = (timeoutSeconds: number) => callQueue({ rank: 0, size: 2, timeoutSeconds });

it.each([0, 60, 1e9, Infinity])(
  'a call of 20 ms ends in time where the limit is %s seconds',
  async (limit) => {
    await expect(queueWith(limit).run('sum', () => setTimeout(20))).resolves.toBeUndefined();
  },
);

it('a call that takes longer than the limit is the last one', async () => {
  const queue = queueWith(0.01);
  for (const name of ['sum', 'barrier'])
    await expect(queue.run(name, () => setTimeout(1000, undefined, { ref: false }))).rejects.toMatchObject({
      code: 'COLLECTIVE_FAILED',
      details: { collective: 'sum' },
    });
});

it('the end of a queue is called once, and not after a failure', async () => {
  const ends: string[] = [];
  const whole = queueWith(60);
  expect([
    await whole.end(() => void ends.push('whole')),
    await whole.end(() => void ends.push('again')),
  ]).toEqual([true, false]);
  const failed = queueWith(60);
  await expect(failed.run('sum', () => Promise.reject(new Error('lost')))).rejects.toThrow('lost');
  expect(await failed.end(() => void ends.push('failed'))).toBe(false);
  expect(ends).toEqual(['whole']);
});

it.each([NaN, -1])('a limit of %s seconds is refused', (limit) => {
  expect(() => queueWith(limit)).toThrow(/timeoutSeconds must be a number ≥ 0/);
});
