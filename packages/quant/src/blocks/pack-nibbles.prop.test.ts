import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nibbleAt, packNibbles, unpackNibbles } from './pack-nibbles.ts';

const arbitraryCodes = fc.array(fc.nat({ max: 15 }), { maxLength: 200, size: 'max' });

describe('packing two codes a byte', () => {
  it('unpacking gives back what was packed, at every length', () => {
    fc.assert(
      fc.property(arbitraryCodes, (codes) => {
        expect([...unpackNibbles(packNibbles(codes), codes.length)]).toEqual(codes);
      }),
    );
  });
  it('code i alone is the same as code i of all', () => {
    fc.assert(
      fc.property(arbitraryCodes, (codes) => {
        expect(codes.map((_, i) => nibbleAt(packNibbles(codes), i))).toEqual(codes);
      }),
    );
  });
  it('the even element is in the high nibble and an odd count ends with the padding', () =>
    expect([...packNibbles([1, 2, 3], 7)]).toEqual([0x12, 0x37]));
  it.each([[[1, 16]], [[-1, 3]], [[1, 2, 99]]])('a code of more than four bits is refused: %j', (codes) => {
    expect(() => packNibbles(codes)).toThrow(/a code must be 0 … 15 \(got /);
    expect(() => packNibbles([1], 16)).toThrow(/got 1 and 16 from 0 on/);
  });
  it('nothing packs to nothing', () => expect(packNibbles([]).length).toBe(0));
});
