import { hostData, assertShape, defineOp, f32Array, type ArrayView } from '@qdylora/contract';
import { assertBetas } from './adamw-step.ts';
import { lionUpdate, type LionAttributes } from './lion-step.ts';
import {
  codeLimits,
  encodeStateBlock,
  forEachStateBlock,
  STATE_BLOCK_SIZE,
  stateBlocks,
} from './state-codes.ts';

type F32 = ArrayView<'f32'>;
type U8 = ArrayView<'u8'>;

/**
 * `lion-step` with m in 8 bits, in blocks as in `adamw-8bit-step`: decoded, updated, encoded again. The
 * parameter sees m before it is rounded.
 * gradient: [rows, columns]  rates: [3]  mMap: [256], rising
 * → parameter, mCodes: [rows, columns]  mAbsmax: [rows, ceil(columns / 256)]
 */
export const lion8bitStep = defineOp({
  name: 'lion-8bit-step',
  takes: { gradient: f32Array(2), rates: f32Array(1), mMap: f32Array(1) },
  updates: ['parameter', 'mCodes', 'mAbsmax'],
  shapes(i: { gradient: F32; rates: F32; mMap: F32 }, betas: LionAttributes) {
    assertBetas('lion-8bit-step', betas);
    assertShape('lion-8bit-step', 'rates', i.rates.shape, [3]);
    assertShape('lion-8bit-step', 'mMap', i.mMap.shape, [256]);
    const { shape } = i.gradient;
    return {
      parameter: { dtype: 'f32' as const, shape },
      mCodes: { dtype: 'u8' as const, shape },
      mAbsmax: { dtype: 'f32' as const, shape: [shape[0], stateBlocks(shape[1])] },
    };
  },
  reference(
    { gradient, rates, mMap },
    { parameter, mCodes, mAbsmax }: { parameter: F32; mCodes: U8; mAbsmax: F32 },
    betas,
  ) {
    const update = lionUpdate(betas, rates);
    const m = {
      codes: hostData(mCodes),
      absmax: hostData(mAbsmax),
      map: hostData(mMap),
      limits: codeLimits(hostData(mMap)),
    };
    const next = new Float64Array(STATE_BLOCK_SIZE);
    const gradients = hostData(gradient);
    const weights = hostData(parameter);
    forEachStateBlock(gradient.shape, (block) => {
      for (let j = 0; j < block.count; j++) {
        const i = block.from + j;
        const { moved, first } = update(weights[i], m.map[m.codes[i]] * m.absmax[block.block], gradients[i]);
        weights[i] = moved;
        next[j] = first;
      }
      encodeStateBlock(m, block, next);
    });
  },
});
