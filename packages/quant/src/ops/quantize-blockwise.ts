import {
  defineOp,
  floatArray,
  hostData,
  isHalfDType,
  widenHalves,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import { blockAbsmax } from '../blocks/block-absmax.ts';
import { blockCodes } from '../blocks/block-codes.ts';
import { assertBlockSize, blockCount } from '../blocks/block-size.ts';
import { levelsOf, type QuantizationKind } from '../codebooks/levels-of.ts';
import { assertTiles, toTiles } from '../matrix/tile-order.ts';

/** Attributes of `quantizeBlockwise`: the codebook, the block size, and the order of the codes. */
export interface QuantizeBlockwiseAttributes {
  readonly kind: QuantizationKind;
  /** Values per scale: a power of two, 32 … 4096. */
  readonly blockSize: number;
  /**
   * Blocks in a row of the matrix. If set, codes are written in the order of `tileMatrix`; scales stay in
   * row-major order.
   */
  readonly tileColumns?: number;
}

/**
 * absmax[b] = max |values| of block b;   code i = the level nearest to values[i] / absmax, the lower one on a
 * limit. Two codes a byte, high nibble first.
 *
 * values: [n], of any float type, which is widened exactly
 * →   codes: [ceil(n / 2)]   absmax: [ceil(n / blockSize)]
 *
 * @throws QdyloraError NON_FINITE from the reference; a kernel may leave this check to its caller, and
 * documents it
 */
export const quantizeBlockwise = defineOp({
  name: 'quantize-blockwise',
  takes: { values: floatArray(1) },
  shapes({ values }: { values: FloatView }, { kind, blockSize, tileColumns }: QuantizeBlockwiseAttributes) {
    assertBlockSize(blockSize, 'quantize-blockwise');
    levelsOf(kind);
    const n = values.shape[0];
    if (tileColumns) assertTiles(matrixShape(n, tileColumns, blockSize), blockSize, 'quantize-blockwise');
    return {
      codes: { dtype: 'u8', shape: [Math.ceil(n / 2)] },
      absmax: { dtype: 'f32', shape: [blockCount(n, blockSize)] },
    };
  },
  reference(
    { values },
    { codes, absmax }: { codes: ArrayView<'u8'>; absmax: ArrayView<'f32'> },
    { kind, blockSize, tileColumns },
  ) {
    const n = values.shape[0];
    const data = hostData(values);
    const flat = isHalfDType(values.dtype)
      ? widenHalves(values.dtype, data as Uint16Array)
      : (data as Float32Array);
    const scales = blockAbsmax(flat, blockSize);
    hostData(absmax).set(scales);
    hostData(codes).set(blockCodes(kind, flat, scales, blockSize));
    if (tileColumns) toTiles(codes, matrixShape(n, tileColumns, blockSize), 'codes', codes);
  },
});

const matrixShape = (count: number, tileColumns: number, blockSize: number): [number, number] => [
  count / (tileColumns * blockSize),
  tileColumns * blockSize,
];
