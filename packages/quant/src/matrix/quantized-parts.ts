import type { ArrayView } from '@qdylora/contract';
import type { QuantizationKind } from '../codebooks/levels-of.ts';
import type { NESTED_BLOCK_SIZE } from '../blocks/double-quantize.ts';

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

/**
 * The parts of a quantized matrix. `absmax` and `doubleQuantized` are two forms of the same scales; one is
 * null.
 */
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
  /**
   * True if codes and block scales (not the nested scales) are in tiles, see `tileMatrix`; else row-major.
   */
  readonly tiled?: boolean;
}

/** All arrays of a matrix, for releasing or keeping it. */
export const arraysOf = ({ codes, levels, absmax, doubleQuantized: nested }: QuantizedParts): ArrayView[] =>
  [codes, levels, absmax, nested?.codes, nested?.absmax, nested?.map].filter((view) => view != null);
