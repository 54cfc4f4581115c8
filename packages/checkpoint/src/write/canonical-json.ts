/**
 * JSON with an indent of two and keys in one fixed order: whole numbers first, then sorted texts. The same
 * value gives the same bytes, which look like those of Python's `json.dump(indent=2, sort_keys=True)`.
 */
export const canonicalJson = (value: unknown): string => JSON.stringify(sorted(value), null, 2);

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
