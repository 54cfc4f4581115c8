import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { oneProcess } from '../one-process.ts';
import { localWorld } from '../testing/local-world.ts';
import { areSiblings, blocksOf, termsOfWorker, type TermRange } from './blocks.ts';
import { sumInOrder } from './sum-in-order.ts';

const anyCount = fc.integer({ min: 1, max: 40 });
const anySize = fc.integer({ min: 1, max: 9 });

/** The sums of a worker's blocks, as it adds them: neighbours first, whenever they are siblings. */
function ownSums(terms: readonly Float32Array[], { from, to }: TermRange): Float32Array[] {
  const stack: { range: TermRange; sum: Float32Array }[] = [];
  for (let term = from; term < to; term++) {
    let block = { range: { from: term, to: term + 1 }, sum: terms[term].slice() };
    for (let last = stack.at(-1); last && areSiblings(last.range, block.range); last = stack.at(-1)) {
      const other = stack.pop()!;
      block = {
        range: { from: other.range.from, to: block.range.to },
        sum: block.sum.map((value, i) => value + other.sum[i]),
      };
    }
    stack.push(block);
  }
  expect(stack.map(({ range }) => range)).toEqual(blocksOf({ from, to }));
  return stack.map(({ sum }) => sum);
}

describe('the terms of the workers', () => {
  it('are all terms, each once, and shared out evenly', () => {
    fc.assert(
      fc.property(anyCount, anySize, (count, size) => {
        const ranges = Array.from({ length: size }, (_, rank) => termsOfWorker(count, rank, size));
        expect(ranges[0].from).toBe(0);
        ranges.forEach(({ to }, rank) => {
          expect(ranges[rank + 1]?.from ?? count).toBe(to);
        });
        const lengths = ranges.map(({ from, to }) => to - from);
        expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('a sum in order', () => {
  it('has the same bits for any number of workers, on each of them', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyCount,
        anySize,
        fc.integer({ min: 1, max: 20 }),
        fc.nat(),
        async (count, size, length, seed) => {
          const terms = Array.from({ length: count }, (_, term) =>
            Float32Array.from({ length }, (_, i) => Math.sin(seed + 31 * term + i) * 10 ** ((term % 7) - 3)),
          );
          const all = { from: 0, to: count };
          const alone = await sumInOrder(oneProcess(), { count, sums: ownSums(terms, all), length });
          const sums = await Promise.all(
            localWorld(size).map((world) =>
              sumInOrder(world, {
                count,
                sums: ownSums(terms, termsOfWorker(count, world.rank, size)),
                length,
              }),
            ),
          );
          for (const sum of sums) expect(sum).toEqual(alone);
          terms[0].forEach((_, i) => {
            const exact = terms.reduce((total, term) => total + term[i], 0);
            const size = terms.reduce((total, term) => total + Math.abs(term[i]), 0);
            expect(Math.abs(alone[i] - exact)).toBeLessThanOrEqual(count * 2 ** -24 * size);
          });
        },
      ),
    );
  });

  it('depends on the order of the terms: the law above is not empty', async () => {
    const terms = [1, 2 ** -24, 2 ** -24].map((value) => Float32Array.of(value));
    const sumOf = async (order: readonly Float32Array[]) =>
      (await sumInOrder(oneProcess(), { count: 3, sums: ownSums(order, { from: 0, to: 3 }), length: 1 }))[0];
    expect(await sumOf([terms[1], terms[2], terms[0]])).not.toBe(await sumOf(terms));
  });

  it('refuses sums that are not those of its blocks', async () => {
    const three = new Float32Array(3);
    for (const size of [1, 2])
      for (const [count, sums] of [
        [4, []],
        [4, [three, three]],
        [4, [new Float32Array(2)]],
        [4, [new Float32Array(4)]],
        [0, []],
        [1.5, [three]],
      ] as const)
        for (const world of localWorld(size))
          await expect(sumInOrder(world, { count, sums, length: 3 })).rejects.toMatchObject({
            code: 'BAD_ARGUMENT',
          });
  });
});
