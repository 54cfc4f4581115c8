import type { Example } from './token-batch.ts';

/**
 * How often each example occurs, at its first place; 0 at later ones: `[examples]`. Examples are copies if
 * their ids and labels are equal.
 *
 * @example
 * countCopies([a, b, a]); // 2, 1, 0
 */
export function countCopies(examples: readonly Example[]): Float64Array {
  const copies = new Float64Array(examples.length);
  const placesByHash = new Map<number, number[]>();
  examples.forEach((example, i) => {
    const hash = hashOf(example.ids);
    const places = placesByHash.get(hash) ?? [];
    const first = places.find((place) => areCopies(examples[place], example));
    if (first === undefined) placesByHash.set(hash, [...places, i]);
    copies[first ?? i]++;
  });
  return copies;
}

const hashOf = (ids: Int32Array): number => ids.reduce((hash, id) => (Math.imul(hash, 31) + id) | 0, 0);

const areCopies = (first: Example, second: Example): boolean =>
  areEqual(first.ids, second.ids) && areEqual(first.labels, second.labels);

const areEqual = (first: Int32Array, second: Int32Array): boolean =>
  first.length === second.length && first.every((value, i) => value === second[i]);
