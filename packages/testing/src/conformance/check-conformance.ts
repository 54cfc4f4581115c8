import fc from 'fast-check';
import { checkKernel, type BackendGroup } from './check-kernel.ts';
import type { ConformanceCase } from './conformance-case.ts';

export interface ConformanceOptions {
  /** Of the random calls; a failure prints the seed that repeats it. */
  readonly seed?: number;
  /** At most so many random calls of each case; the default is the case's own number. */
  readonly numRuns?: number;
  /** False leaves out the calls by hand, some of which are large; the default is true. */
  readonly withEdges?: boolean;
}

/**
 * Compares the kernels of all groups with the references, case by case: first the calls by hand, then the
 * random ones. Groups that lack what a case needs are left out of it.
 *
 * @throws Error with op, shapes, worst index, both values and the seed, for the first call that disagrees
 * @example
 * for (const one of ALL_CASES)
 *   test(`${one.op.name} agrees ${one.title}`, () => checkConformance(groups, [one]));
 */
export async function checkConformance(
  groups: readonly BackendGroup[],
  cases: readonly ConformanceCase[],
  { seed, numRuns = Infinity, withEdges = true }: ConformanceOptions = {},
): Promise<void> {
  for (const { op, needs, random, edges } of cases) {
    const able = groups.filter(({ lacks = [] }) => !needs || !lacks.includes(needs));
    if (able.length === 0) continue;
    for (const call of (withEdges && edges?.()) || []) await checkKernel(op, able, call);
    if (!random) continue;
    const { parameters, call } = random;
    await fc.assert(
      fc.asyncProperty(parameters, (values) => checkKernel(op, able, call(values))),
      { numRuns: Math.min(numRuns, random.numRuns), ...(seed !== undefined && { seed }) },
    );
  }
}
