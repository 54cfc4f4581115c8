import { hostData, defineOp, f32Array, type ArrayView } from '@qdylora/contract';
import { blockCount } from '../blocks/block-size.ts';
import { doubleQuantize, NESTED_BLOCK_SIZE } from '../blocks/double-quantize.ts';

/**
 * Double quantization of block scales (Dettmers et al. 2023, section 3): offset = their mean; every 256
 * differences from it share one scale, and each takes the nearest level of the signed dynamic map.
 *
 * absmax: [blocks]   →   codes: [blocks]   nestedAbsmax: [ceil(blocks / 256)]   offset: [1]
 *
 * @throws QdyloraError NON_FINITE from the reference
 */
export const quantizeScales = defineOp({
  name: 'quantize-scales',
  takes: { absmax: f32Array(1) },
  shapes({ absmax }: { absmax: ArrayView<'f32'> }, _: Record<string, never>) {
    const blocks = absmax.shape[0];
    return {
      codes: { dtype: 'u8', shape: [blocks] },
      nestedAbsmax: { dtype: 'f32', shape: [blockCount(blocks, NESTED_BLOCK_SIZE)] },
      offset: { dtype: 'f32', shape: [1] },
    };
  },
  reference(
    { absmax },
    {
      codes,
      nestedAbsmax,
      offset,
    }: { codes: ArrayView<'u8'>; nestedAbsmax: ArrayView<'f32'>; offset: ArrayView<'f32'> },
  ) {
    const nested = doubleQuantize(hostData(absmax));
    hostData(codes).set(nested.codes);
    hostData(nestedAbsmax).set(nested.absmax);
    hostData(offset)[0] = nested.offset;
  },
});
