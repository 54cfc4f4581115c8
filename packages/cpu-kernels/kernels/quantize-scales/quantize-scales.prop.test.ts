import { expect, test } from 'vitest';
import { hostData, f32View, runOp } from '@qdylora/contract';
import { quantizeScales } from '@qdylora/quant';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('NaN and infinity are NON_FINITE', () => {
  for (const { backends } of levels) {
    for (const bad of [NaN, Infinity]) {
      const absmax = f32View([300], new Float32Array(300).fill(1));
      hostData(absmax)[277] = bad;
      expect(() => runOp(backends[0], quantizeScales, { absmax }, {})).toThrow(
        expect.objectContaining({ code: 'NON_FINITE' }),
      );
    }
  }
});
