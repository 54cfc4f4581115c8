import { assertShape, QdyloraError, type ArrayView } from '@qdylora/contract';
import { assertBlockSize, blockCount } from '../block-size.ts';
import { NESTED_BLOCK_SIZE } from '../double-quantize.ts';
import type { QuantizedMatrix } from '../nf4-matrix.ts';
import { assertTiles } from '../tile-order.ts';

/** The arrays of a quantized weight W: [rows, cols] as ops take them: either `absmax`, or the three of double quantization. */
export type QuantizedInputs = {
  /** [(rows · cols + 1) >> 1] */
  readonly codes: ArrayView<'u8'>;
  /** [16] */
  readonly levels: ArrayView<'f32'>;
  /** [blocks] */
  readonly absmax?: ArrayView<'f32'>;
  /** [blocks] */
  readonly absmaxCodes?: ArrayView<'u8'>;
  /** [ceil(blocks / 256)] */
  readonly nestedAbsmax?: ArrayView<'f32'>;
  /** [256] */
  readonly nestedMap?: ArrayView<'f32'>;
};

/** The numbers that say how the arrays are read. `nestedOffset` is a float32, 0 without double quantization. `tiled`: codes and their scales stand in the order of `tileMatrix`. */
export interface QuantizedAttributes { readonly rows: number; readonly cols: number; readonly blockSize: number; readonly nestedOffset: number; readonly tiled?: boolean }

/** A matrix as inputs of an op: `runOp(backend, matmulNf4, { x, ...quantizedInputs(w) }, { ...quantizedAttributes(w), computeDtype })`. */
export const quantizedInputs = ({ codes, levels, absmax, doubleQuantized: nested }: QuantizedMatrix): QuantizedInputs =>
  ({ codes, levels, absmax: absmax ?? undefined, absmaxCodes: nested?.codes, nestedAbsmax: nested?.absmax, nestedMap: nested?.map });

/** A matrix as attributes of an op. */
export const quantizedAttributes = ({ shape, blockSize, doubleQuantized, tiled }: QuantizedMatrix): QuantizedAttributes =>
  ({ rows: shape[0], cols: shape[1], blockSize, nestedOffset: doubleQuantized?.offset ?? 0, ...(tiled && { tiled }) });

/** Checks the arrays of a quantized weight against its attributes. @throws QdyloraError BAD_SHAPE, UNSUPPORTED for a block size. */
export function assertQuantized(where: string, inputs: QuantizedInputs, { rows, cols, blockSize, tiled }: QuantizedAttributes): void {
  const weights = rows * cols, blocks = blockCount(weights, blockSize), { absmax, absmaxCodes, nestedAbsmax, nestedMap } = inputs;
  assertBlockSize(blockSize, where);
  if (tiled) assertTiles([rows, cols], blockSize, where);
  assertShape(where, 'codes', inputs.codes.shape, [Math.ceil(weights / 2)]);
  assertShape(where, 'levels', inputs.levels.shape, [16]);
  if (absmax && !absmaxCodes && !nestedAbsmax && !nestedMap) return assertShape(where, 'absmax', absmax.shape, [blocks]);
  if (absmax || !absmaxCodes || !nestedAbsmax || !nestedMap) {
    const got = Object.entries({ absmax, absmaxCodes, nestedAbsmax, nestedMap }).filter(([, view]) => view).map(([name]) => name);
    throw new QdyloraError('BAD_SHAPE', { where, problem: `expected either absmax, or absmaxCodes, nestedAbsmax and nestedMap for the scales, got ${got.join(', ') || 'none'}` });
  }
  assertShape(where, 'absmaxCodes', absmaxCodes.shape, [blocks]);
  assertShape(where, 'nestedAbsmax', nestedAbsmax.shape, [blockCount(blocks, NESTED_BLOCK_SIZE)]);
  assertShape(where, 'nestedMap', nestedMap.shape, [256]);
}
