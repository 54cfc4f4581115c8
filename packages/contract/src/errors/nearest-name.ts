/** A name further away than this share of its length is no misspelling but another word. */
const LARGEST_SHARE = 0.4;

/**
 * The candidate that needs the fewest changed, added or dropped letters (Levenshtein 1966) to become `name`;
 * null if none is close.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let fewest = Math.max(2, Math.floor(name.length * LARGEST_SHARE)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name, candidate);
    if (distance < fewest) [best, fewest] = [candidate, distance];
  }
  return best;
}

/**
 * Row by row: entry j of `row` is the distance between the letters read so far and the first j letters of
 * `b`.
 */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}
