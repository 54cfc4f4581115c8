import type { RowSpace } from '@qdylora/lora-dynamic';
import { expect } from 'vitest';
import { KAIMING_ROW_NORM } from '../src/adapter-start/ordered-rows.ts';

/** A vector is told apart from its neighbours by the gap between their values, as a share of the largest. */
const SMALLEST_GAP = 0.02;

/**
 * Expects that row k of A is the k-th vector of a row space up to its sign, wherever the gap tells it apart.
 *
 * @param values falling, one for each vector
 */
export function expectDirections(
  rows: Float32Array,
  { values, vectors }: Pick<RowSpace, 'vectors'> & { readonly values: readonly number[] },
  name: string,
): void {
  const width = rows.length / values.length;
  values.forEach((value, k) => {
    const gap = Math.min(k > 0 ? values[k - 1] - value : Infinity, value - (values[k + 1] ?? 0));
    if (gap < SMALLEST_GAP * values[0]) return;
    let cosine = 0;
    for (let j = 0; j < width; j++)
      cosine += (rows[k * width + j] * vectors[k * width + j]) / KAIMING_ROW_NORM;
    expect(Math.abs(cosine), `row ${k} of ${name}`).toBeGreaterThan(0.999);
  });
}
