import { localWorld } from '@qdylora/collectives';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { eventsOf, eventsOfType, tinyTrain } from '../../test/tiny-run.ts';
import { compressedGradients, librarySum, type GradientSum } from '../index.ts';
import { otherSumsWarning } from './computed-on.ts';

/** Continues the run of a folder on `size` workers; 0: without any. Returns the warnings of all workers. */
async function warningsOf(
  folder: string,
  totalSteps: number,
  { size, sumOf = () => null }: { size: number; sumOf?: () => GradientSum | null },
): Promise<string[]> {
  const worlds = size === 0 ? [null] : localWorld(size);
  const events = await Promise.all(
    worlds.map((workers) => {
      const shared = { workers, gradientSum: sumOf(), save: { folder }, resume: 'latest' };
      return eventsOf(tinyTrain({ ...shared, totalSteps }));
    }),
  );
  return events.flatMap((one) =>
    eventsOfType(one, 'warning').map(({ code, message }) => `${code}: ${message}`),
  );
}

const inOneSum = { size: 0, sumOf: () => librarySum };

it('a run that continues with or without workers warns once, and says what keeps the bits', async () => {
  const folder = temporaryFolder();
  expect(await warningsOf(folder, 1, inOneSum)).toEqual([]);
  expect(await warningsOf(folder, 2, { ...inOneSum, size: 1 })).toEqual([]);
  expect(await warningsOf(folder, 3, { size: 2 })).toEqual([
    expect.stringMatching(
      /^OTHER_SUMS: .* added gradients one after the other; .* resume without a launcher/,
    ),
  ]);
  for (const [step, size] of [3, 1, 0].entries())
    expect(await warningsOf(folder, 4 + step, { size })).toEqual([]);
  expect(await warningsOf(folder, 7, inOneSum)).toEqual([
    expect.stringMatching(/in the order of any .* them one after the other, .* with launch, .* launch -n 1/),
  ]);
});

it('a run whose sums depend on the number of workers warns where it continues on another one', async () => {
  for (const [name, sumOf] of [
    ["in the library's order", () => librarySum],
    ['as int8', () => compressedGradients('int8')],
  ] as const) {
    const folder = temporaryFolder();
    for (const step of [1, 2]) expect(await warningsOf(folder, step, { size: 2, sumOf })).toEqual([]);
    expect(await warningsOf(folder, 2, { size: 3, sumOf })).toEqual([]); // nothing is left to do
    expect(await warningsOf(folder, 3, { size: 3, sumOf })).toEqual([
      expect.stringMatching(
        new RegExp(`${name} on 2 workers; .* on 3 workers, .* resume on 2 workers \\(launch -n 2\\)\\.$`),
      ),
    ]);
  }
});

it('a checkpoint that does not name the order of its sums warns of nothing', () => {
  const kernels = { backend: 'cpu', level: 'avx2' };
  const sums = { method: 'tree', workers: null };
  expect(otherSumsWarning({ ...kernels, sums: null }, { ...kernels, sums })).toBeNull();
  expect(otherSumsWarning(null, { ...kernels, sums })).toBeNull();
});
