import { expect, it } from 'vitest';
import { rowTurns } from './yield-to-events.ts';

it('gives events a turn at the first row, and again when rows took long, however few they are', async () => {
  const controller = new AbortController();
  const turn = rowTurns(controller.signal);
  await turn();
  expect(turn()).toBeUndefined();
  controller.abort('enough');
  const until = performance.now() + 40;
  while (performance.now() < until); // one long row
  await expect(turn()).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' });
});
