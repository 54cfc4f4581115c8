/** `learningRate` → `learning_rate`: the name of a field in JSON and YAML. */
export const snakeCase = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/**
 * A record as JSON values: keys in snake_case at every depth, null for NaN and infinities.
 *
 * @example
 * snakeCased({ standardError: NaN, byRank: [{ maxRank: 64 }] });
 * // { standard_error: null, by_rank: [{ max_rank: 64 }] }
 */
export function snakeCased(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [snakeCase(key), snakeCased(inner)]));
}
