import { expect, test } from 'vitest';
import { hostData, createRng, runOp, viewOf } from '@qdylora/contract';
import { dequantizeGgml, GGML_BLOCKS } from '@qdylora/quant';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

for (const [type, { length, bytes, dequantize }] of GGML_BLOCKS) {
  const blocksOf = (count: number, seed: number) => {
    const rng = createRng(seed).named(type);
    return viewOf(
      'u8',
      [count * bytes],
      Uint8Array.from({ length: count * bytes }, (_, i) => rng.words(i)[0] & 255),
    );
  };

  test(`${type}: values have the reference's bits, the sign of a zero included`, () => {
    const blocks = blocksOf(500, 7);
    const want = new Float32Array(500 * length);
    dequantize(hostData(blocks), want);
    for (const { backends } of levels) {
      const got = hostData(
        runOp(backends[0], dequantizeGgml, { blocks }, { type, shape: [500, length] }).values,
      );
      const differs = want.findIndex((value, i) => !Object.is(value, got[i]));
      expect([differs, got[differs]]).toEqual([-1, undefined]);
    }
  });
}
