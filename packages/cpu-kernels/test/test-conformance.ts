import type { Op } from '@qdylora/contract';
import { ALL_CASES, checkConformance } from '@qdylora/testing/conformance';
import { expect, test } from 'vitest';
import { everyLevel } from './every-level.ts';

/** The levels that multiply bf16 numbers in pairs; the others compute attention in float32. */
const PAIR_LEVELS = ['avx512_bf16', 'amx_bf16', 'avx2w16', 'avx2_tiles'];

/**
 * Tests of every conformance case of the ops, at every level of this machine with 1, 2 and 3 threads. The
 * cases are split over one file for each owner of ops, so that files run at the same time.
 */
export async function testConformance(ops: readonly Op[]): Promise<void> {
  const groups = (await everyLevel()).map((level) => ({
    ...level,
    lacks: [
      'float16' as const,
      ...(level.label === 'generic' ? (['large'] as const) : []),
      ...(PAIR_LEVELS.includes(level.label) ? [] : (['bf16 attention'] as const)),
    ],
  }));
  const cases = ALL_CASES.filter(({ op }) => ops.includes(op));
  for (const one of cases) {
    test(`${one.op.name} agrees with its reference ${one.title}`, () => checkConformance(groups, [one]));
  }
  test('there are cases of all of the ops', () => {
    expect(new Set(cases.map(({ op }) => op.name)).size).toBe(ops.length);
  });
}
