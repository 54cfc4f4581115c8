import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, f32View, float32FromBfloat16, runOp } from '@qdylora/contract';
import { BLOCK_SIZES, levelsOf, QUANTIZATION_KINDS, quantizeBlockwise } from '@qdylora/quant';
import { arbitrarySeed, arbitrarySize, checkKernel, normalBfloat16View, normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const exact = (): number => 0;
const arbitraryKind = fc.constantFrom(...QUANTIZATION_KINDS);
const arbitraryBlockSize = fc.constantFrom(...BLOCK_SIZES);

test("codes and scales are the reference's bytes, for every kind, block size and tail", () => {
  fc.assert(
    fc.property(
      arbitrarySize(20_000),
      arbitrarySeed,
      arbitraryKind,
      arbitraryBlockSize,
      fc.constantFrom(1e-39, 1e-20, 1, 1e30),
      (size, seed, kind, blockSize, scale) => {
        checkKernel(quantizeBlockwise, levels, {
          inputs: { values: normalView(seed, 'w', [size], scale) },
          attributes: { kind, blockSize },
          bound: exact,
        });
      },
    ),
    { numRuns: 40 },
  );
});

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
        checkKernel(quantizeBlockwise, levels, {
          inputs: { values },
          attributes: { kind, blockSize },
          bound: exact,
        });
        const backend = levels.at(-1)!.backends[0]!;
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

test("codes in tiles are the reference's bytes, and scales stay in row-major order", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 9 }),
      arbitrarySeed,
      arbitraryKind,
      fc.boolean(),
      (bands, tileColumns, seed, kind, isNarrow) => {
        const count = bands * 32 * tileColumns * 64;
        const values = isNarrow ? normalBfloat16View(seed, 'w', [count]) : normalView(seed, 'w', [count]);
        checkKernel(quantizeBlockwise, levels, {
          inputs: { values },
          attributes: { kind, blockSize: 64, tileColumns },
          bound: exact,
        });
      },
    ),
    { numRuns: 20 },
  );
});

test("values on and beside a limit between two levels get the reference's codes", () => {
  for (const kind of QUANTIZATION_KINDS) {
    const sorted = [...levelsOf(kind)].sort((a, b) => a - b);
    const middles = sorted.slice(1).map((level, i) => Math.fround((level + sorted[i]!) / 2));
    const near = middles.flatMap((x) => [x, x * (1 + 2 ** -23), x * (1 - 2 ** -23), -x]);
    const values = f32View([128], [1, ...near, ...Array.from({ length: 128 }, () => 0)].slice(0, 128));
    for (const blockSize of [32, 64, 128])
      checkKernel(quantizeBlockwise, levels, {
        inputs: { values },
        attributes: { kind, blockSize },
        bound: exact,
      });
  }
});

test("blocks of zeros and of subnormal numbers are the reference's bytes", () => {
  const values = f32View(
    [133],
    new Float32Array(133).fill(1e-42, 32, 64).fill(-1e-40, 64, 70).fill(-0, 80, 96),
  );
  for (const kind of QUANTIZATION_KINDS)
    checkKernel(quantizeBlockwise, levels, {
      inputs: { values },
      attributes: { kind, blockSize: 32 },
      bound: exact,
    });
});

test('NaN and infinity are NON_FINITE with their index', () => {
  for (const { backends } of levels) {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const values = normalView(1, 'w', [100]);
      hostData(values)[77] = bad;
      expect(() =>
        runOp(backends[0]!, quantizeBlockwise, { values }, { kind: 'nf4', blockSize: 32 }),
      ).toThrow(expect.objectContaining({ code: 'NON_FINITE', details: { index: 77, value: bad } }));
    }
  }
});
