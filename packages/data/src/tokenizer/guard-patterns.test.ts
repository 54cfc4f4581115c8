import { expect, it } from 'vitest';
import { guardPatterns } from './guard-patterns.ts';

it('a text is encoded although the machine stops the process for longer than the limit, once', () => {
  let attempts = 0;
  const encode = guardPatterns(() => {
    const end = attempts++ === 0 ? Date.now() + 60_000 : 0;
    while (Date.now() < end);
    return [7];
  }, 'a pattern');
  expect(encode('text')).toEqual([7]);
  expect(attempts).toBe(2);
});
