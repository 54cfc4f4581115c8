import { assertShape, DTYPE_BYTES, elementCount, QdyloraError, type ArrayView } from '@qdylora/contract';
import { assertBlockSize, blockCount } from './block-size.ts';
import type { QuantizationKind } from './codebooks/levels-of.ts';
import { NESTED_BLOCK_SIZE } from './double-quantize.ts';
import { assertTiles } from './tile-order.ts';

/** Block scales in 8 bits each: scale of block b = fl(fl(map[codes[b]] · absmax[b div 256]) + offset). */
export interface DoubleQuantizedScales {
  /** [blocks] */
  readonly codes: ArrayView<'u8'>;
  /** [ceil(blocks / 256)] */
  readonly absmax: ArrayView<'f32'>;
  /** [256] */
  readonly map: ArrayView<'f32'>;
  /** A float32. */
  readonly offset: number;
  readonly blockSize: typeof NESTED_BLOCK_SIZE;
}

/** What a quantized matrix is made of; `absmax` and `doubleQuantized` are two forms of the same scales, and one of them is null. */
export interface QuantizedParts {
  readonly kind: QuantizationKind;
  readonly shape: readonly [number, number];
  readonly blockSize: number;
  /** [(n + 1) >> 1], two weights a byte, high nibble first */
  readonly codes: ArrayView<'u8'>;
  /** [16], by code */
  readonly levels: ArrayView<'f32'>;
  /** [blocks] */
  readonly absmax: ArrayView<'f32'> | null;
  readonly doubleQuantized: DoubleQuantizedScales | null;
  /** Codes and the scales of blocks (not the scales of scales) stand in tiles, see `tileMatrix`; else in row-major order. */
  readonly tiled?: boolean;
}

/**
 * A matrix in 4 bits a weight. Blocks run along the flat row-major index, so one may straddle rows; the last may be short.
 *
 * ```
 * weights   w0 w1 w2 w3 … w63 │ w64 …      weight i = levels[code i] · scale[i div blockSize]
 * codes     [w0 w1][w2 w3] …               a byte: high nibble = even weight, low = odd
 * scales    absmax[0]         │ absmax[1]  32 bits each, or 8 bits each plus 32 for every 256
 * ```
 */
export interface QuantizedMatrix extends QuantizedParts {
  /** Codes and scales, over the number of weights: 4 + 32/blockSize, or 4 + 8/blockSize + 32/(256 · blockSize), and rounding up for short ends. */
  readonly bitsPerWeight: number;
  /** Bytes of codes and scales. The tables (64 bytes, and 1 KiB for double quantization) are the same for all matrices and not counted. */
  readonly byteLength: number;
}

export type Nf4Matrix = QuantizedMatrix;

/**
 * Puts a matrix together. Its scales are looked at here, once, so that no kernel has to.
 * @throws QdyloraError BAD_SHAPE where an array does not fit the shape and block size; UNSUPPORTED for a block size that no one reads; NON_FINITE for a scale or level that is no number.
 */
export function quantizedMatrix(parts: QuantizedParts): QuantizedMatrix {
  const { shape, blockSize, codes, levels, absmax, doubleQuantized: nested } = parts, weights = elementCount(shape), blocks = blockCount(weights, blockSize);
  assertBlockSize(blockSize, 'quantized-matrix');
  if (parts.tiled) assertTiles(shape, blockSize, 'quantized-matrix');
  assertShape('quantized-matrix', 'codes', codes.shape, [Math.ceil(weights / 2)]);
  assertShape('quantized-matrix', 'levels', levels.shape, [16]);
  assertShape('quantized-matrix', nested ? 'the codes of the scales' : 'absmax', (nested?.codes ?? absmax)?.shape ?? [], [blocks]);
  if (nested) assertShape('quantized-matrix', 'the scales of the scales', nested.absmax.shape, [blockCount(blocks, NESTED_BLOCK_SIZE)]);
  if (nested) assertShape('quantized-matrix', 'the map of the scales', nested.map.shape, [256]);
  for (const [name, view] of Object.entries({ levels, absmax, 'scales of the scales': nested?.absmax, 'map of the scales': nested?.map })) if (view) assertFinite(name, view);
  if (nested && !Number.isFinite(nested.offset)) throw notFinite('offset of the scales', 0, nested.offset);
  const scales = nested ? [nested.codes, nested.absmax] : [absmax!];
  const byteLength = [codes, ...scales].reduce((sum, view) => sum + elementCount(view.shape) * DTYPE_BYTES[view.dtype], 0);
  return { ...parts, byteLength, bitsPerWeight: (8 * byteLength) / weights };
}

function assertFinite(name: string, { data, shape }: ArrayView<'f32'>): void {
  for (let i = 0; i < elementCount(shape); i++) if (!Number.isFinite(data[i])) throw notFinite(name, i, data[i]!);
}

const notFinite = (name: string, index: number, got: number): QdyloraError =>
  new QdyloraError('NON_FINITE', { where: 'quantized-matrix', problem: `expected finite numbers for ${name}, got ${got} at ${index}`, nextStep: 'The file is damaged, or was quantized from weights that are not finite.', details: { index } });
