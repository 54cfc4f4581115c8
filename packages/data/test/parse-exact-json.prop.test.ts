import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseExactJson } from '../src/rows/json/parse-exact-json.ts';
import { ExactNumber } from '../src/rows/json/exact-number.ts';

/** Exact values as `JSON.parse` would have given them. */
function plain(value: unknown): unknown {
  if (value instanceof ExactNumber) return value.toJSON();
  if (Array.isArray(value)) return value.map(plain);
  return value instanceof Map
    ? Object.fromEntries([...(value as Map<string, unknown>)].map(([key, inner]) => [key, plain(inner)]))
    : value;
}

/** Python's digits of a number, which `json.dumps` writes. */
const written = fc.constantFrom(
  '1.0',
  '-0.0',
  '1e5',
  '1E+5',
  '2.50e1',
  '100.00',
  '9007199254740993',
  '-12345678901234567890',
  '1e16',
);

describe('exact JSON', () => {
  it('has the values of JSON.parse, whatever the white space and the escapes', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 5 }),
        fc.constantFrom(undefined, 1, '\t', '\r\n '),
        (value, space) => {
          const text = JSON.stringify(value, null, space);
          expect(plain(parseExactJson(` ${text}\n`))).toEqual(JSON.parse(text));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('keeps numbers as they were written, where a JavaScript number would not, and the order of keys', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.oneof(fc.string(), fc.nat(30).map(String)), written), {
          selector: ([key]) => key,
        }),
        (entries) => {
          const pairs = entries.map(([key, digits]) => `${JSON.stringify(key)} : ${digits}`);
          const text = `{${pairs.join(' , ')}}`;
          expect(
            [...(parseExactJson(text) as Map<string, ExactNumber>)].map(([key, { digits }]) => [key, digits]),
          ).toEqual(entries);
        },
      ),
    );
  });

  it('has JavaScript numbers where these are what was written', () => {
    expect(parseExactJson('[0, 7, -3, 0.5, 1e-7, -9007199254740991]')).toEqual([
      0, 7, -3, 0.5, 1e-7, -9007199254740991,
    ]);
  });
});
