import { expect, it } from 'vitest';
import { fasterWay } from './faster-way.ts';

/** The ways of so many turns, at `rate(way, turn)` bytes a millisecond. */
function waysOf(turns: number, rate: (way: 'a' | 'b', turn: number) => number, handicap?: number): string {
  const ways = fasterWay(['a', 'b'] as const, handicap);
  const BYTES = 2 ** 21;
  return Array.from({ length: turns }, (_, turn) => {
    const { way } = ways.next();
    ways.took(way, BYTES, BYTES / rate(way, turn));
    return way;
  }).join('');
}

it('both are tried, then the faster one is taken, and the other once more after 8, 16, 32, …', () => {
  expect(waysOf(30, (way) => (way === 'a' ? 2 : 1))).toBe(`ab${'a'.repeat(7)}b${'a'.repeat(16)}baaa`);
  expect(waysOf(30, (way) => (way === 'a' ? 1 : 2))).toBe(`ab${'b'.repeat(7)}a${'b'.repeat(16)}abbb`);
});

it('one slow time says nothing, four do; what becomes faster is found', () => {
  expect(waysOf(12, (way, turn) => (way === 'a' ? (turn === 4 ? 0.1 : 3) : 2))).toBe(`ab${'a'.repeat(7)}baa`);
  expect(waysOf(8, (way, turn) => (way === 'a' ? (turn < 2 ? 3 : 1) : 2))).toBe('abaaaabb');
  expect(waysOf(14, (way, turn) => (way === 'a' ? 2 : turn < 5 ? 1 : 3))).toBe(`ab${'a'.repeat(7)}bbbbb`);
});

it('a handicapped first way is taken where it is that much faster, and both are tried all the same', () => {
  expect(waysOf(12, (way) => (way === 'a' ? 3 : 2), 1.4)).toBe(`ab${'a'.repeat(7)}baa`);
  expect(waysOf(12, (way) => (way === 'a' ? 3 : 2), 1.6)).toBe(`ab${'b'.repeat(7)}abb`);
});

it('a way is on trial until it has a time, and whenever the slower one is taken', () => {
  const ways = fasterWay(['a', 'b'] as const);
  const BYTES = 2 ** 21;
  const trials = Array.from({ length: 11 }, () => {
    const { way, other, isTrial } = ways.next();
    expect(other).not.toBe(way);
    ways.took(way, BYTES, way === 'a' ? 1 : 2);
    return isTrial ? way.toUpperCase() : way;
  });
  expect(trials.join('')).toBe('ABaaaaaaaBa');
});

it('small things say nothing', () => {
  const ways = fasterWay(['a', 'b'] as const);
  for (let i = 0; i < 5; i++) ways.took('a', 100, 1);
  ways.took('a', 2 ** 20, 1);
  expect(ways.next().way).toBe('b');
});
