import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, f32View, float32FromBfloat16, runOp } from '@qdylora/contract';
import { BLOCK_SIZES, QUANTIZATION_KINDS, quantizeBlockwise } from '@qdylora/quant';
import { arbitrarySeed, arbitrarySize, normalBfloat16View, normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const arbitraryKind = fc.constantFrom(...QUANTIZATION_KINDS);
const arbitraryBlockSize = fc.constantFrom(...BLOCK_SIZES);

test('bfloat16 values have the bytes of the same values in float32', () => {
  fc.assert(
    fc.property(
      arbitrarySize(5000),
      arbitrarySeed,
      arbitraryKind,
      arbitraryBlockSize,
      (size, seed, kind, blockSize) => {
        const values = normalBfloat16View(seed, 'w', [size]);
        const wide = f32View([size], float32FromBfloat16(hostData(values)));
        const backend = levels.at(-1)!.backends[0];
        const [narrow, same] = [values, wide].map((view) =>
          runOp(backend, quantizeBlockwise, { values: view as typeof wide }, { kind, blockSize }),
        );
        expect([hostData(narrow!.codes), hostData(narrow!.absmax)]).toEqual([
          hostData(same!.codes),
          hostData(same!.absmax),
        ]);
      },
    ),
    { numRuns: 20 },
  );
});

test('NaN and infinity are NON_FINITE with their index', () => {
  for (const { backends } of levels) {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const values = normalView(1, 'w', [100]);
      hostData(values)[77] = bad;
      expect(() => runOp(backends[0], quantizeBlockwise, { values }, { kind: 'nf4', blockSize: 32 })).toThrow(
        expect.objectContaining({ code: 'NON_FINITE', details: { index: 77, value: bad } }),
      );
    }
  }
});
