import { createRng } from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { permuteIndex } from '../src/index.ts';
import { createBitSet } from '../src/stream/bit-set.ts';

describe('permuteIndex', () => {
  it('visits each index below the length exactly once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3000 }), fc.nat(), fc.nat(1000), (length, seed, epoch) => {
        const at = permuteIndex(length, createRng(seed), epoch);
        const seen = new Uint8Array(length);
        for (let i = 0; i < length; i++) seen[at(i)]++;
        expect(seen.every((times) => times === 1)).toBe(true);
      }),
    );
  });

  it('never gives two of a few thousand indices of a huge length the same place, nor one outside', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2 ** 31, max: 2 ** 48 }), fc.nat(), (length, seed) => {
        const at = permuteIndex(length, createRng(seed));
        const places = Array.from({ length: 2000 }, (_, i) => at(i));
        expect(new Set(places).size).toBe(2000);
        expect(places.every((place) => Number.isSafeInteger(place) && place >= 0 && place < length)).toBe(
          true,
        );
      }),
      { numRuns: 5 },
    );
  });

  it('gives every order of four rows about as often as any other', () => {
    const rng = createRng(1).named('shuffle');
    const times = new Map<string, number>();
    const epochs = 4800;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = [0, 1, 2, 3].map(permuteIndex(4, rng, epoch)).join('');
      times.set(order, (times.get(order) ?? 0) + 1);
    }
    expect(times.size).toBe(24);
    // 200 each expected, standard deviation 14; the worst of 24 fair counts is beyond six of them once in 20
    // million
    for (const count of times.values())
      expect(Math.abs(count - epochs / 24)).toBeLessThan(6 * Math.sqrt(200));
  });

  it('leaves few neighbours together', () => {
    const at = permuteIndex(10_000, createRng(2));
    const together = Array.from({ length: 9999 }, (_, i) => Math.abs(at(i + 1) - at(i)) === 1).filter(
      Boolean,
    ).length;
    expect(together).toBeLessThan(20); // two are expected
  });

  it('refuses an index outside and a length that is no number', () => {
    expect(() => permuteIndex(5, createRng(1))(5)).toThrow(/index must be in 0…4 \(got 5/);
    expect(() => permuteIndex(Number.NaN, createRng(1))).toThrow(/A length must be .* \(got NaN/);
  });
});

describe('a bit set', () => {
  it('finds its k-th set bit as a list of them would', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 9000, size: 'max' }),
        fc.array(fc.nat(8999), { maxLength: 50, size: 'max' }),
        (bits, cleared) => {
          const set = createBitSet();
          bits.forEach((bit) => {
            set.push(bit);
          });
          const want = [...bits];
          for (const index of cleared.filter((each) => each < bits.length)) {
            set.clear(index);
            want[index] = false;
          }
          const places = want.flatMap((bit, index) => (bit ? [index] : []));
          const ones = set.ones();
          expect(ones.length).toBe(places.length);
          expect(Array.from({ length: ones.length }, (_, k) => ones.at(k))).toEqual(places);
        },
      ),
      { numRuns: 60 },
    );
  });
});
