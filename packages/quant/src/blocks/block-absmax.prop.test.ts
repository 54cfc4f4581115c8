import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockAbsmax } from './block-absmax.ts';

const finite = fc.float32Array({ noNaN: true, noDefaultInfinity: true, maxLength: 300, size: 'max' });

describe('block scales', () => {
  it('each is the largest magnitude of its block, denormals included', () => {
    fc.assert(
      fc.property(finite, (values) => {
        const absmax = blockAbsmax(values, 32);
        expect(absmax.length).toBe(Math.ceil(values.length / 32));
        absmax.forEach((scale, b) =>
          expect(scale).toBe(Math.max(...values.subarray(b * 32, b * 32 + 32).map(Math.abs))),
        );
      }),
    );
  });

  it('a view into the middle of a buffer gives the same as a copy', () => {
    fc.assert(
      fc.property(finite, fc.nat({ max: 40 }), (values, from) => {
        expect(blockAbsmax(values.subarray(from), 32)).toEqual(blockAbsmax(values.slice(from), 32));
      }),
    );
  });

  it('the first value that is not finite is named by its index', () => {
    fc.assert(
      fc.property(
        finite.filter((v) => v.length > 0),
        fc.nat(),
        fc.constantFrom(NaN, Infinity, -Infinity),
        (values, at, bad) => {
          const index = at % values.length;
          values.fill(bad, index);
          expect(() => blockAbsmax(values, 32)).toThrow(
            expect.objectContaining({ code: 'NON_FINITE', details: { index, value: bad } }),
          );
        },
      ),
    );
  });
});
