import {
  assertShape,
  assertTaken,
  assertUsable,
  f32Array,
  namedRules,
  optional,
  QdyloraError,
  u8Array,
  type ArrayView,
  type Arrays,
} from '@qdylora/contract';
import { assertBlockSize, blockCount } from '../blocks/block-size.ts';
import { NESTED_BLOCK_SIZE } from '../blocks/double-quantize.ts';
import type { QuantizedParts } from '../matrix/quantized-parts.ts';
import { assertTiles } from '../matrix/tile-order.ts';

/**
 * The arrays of a quantized weight W: [rows, cols] as inputs of ops: either `absmax`, or the three arrays of
 * double quantization. Scales must be finite: `quantizedMatrix` checks them once, and ops do not check them
 * again.
 */
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

/** The input rules of these arrays. */
export const QUANTIZED_INPUTS = {
  codes: u8Array(1),
  levels: f32Array(1),
  absmax: optional(f32Array(1)),
  absmaxCodes: optional(u8Array(1)),
  nestedAbsmax: optional(f32Array(1)),
  nestedMap: optional(f32Array(1)),
};

/**
 * How the arrays are read. `nestedOffset`: a float32, 0 without double quantization. `tiled`: codes and block
 * scales are in the order of `tileMatrix`.
 */
export interface QuantizedAttributes {
  readonly rows: number;
  readonly cols: number;
  readonly blockSize: number;
  readonly nestedOffset: number;
  readonly tiled?: boolean;
}

/**
 * The inputs of an op for a matrix: `runOp(backend, matmulNf4, { x, ...quantizedInputs(w) },
 * { ...quantizedAttributes(w), computeDtype })`.
 */
export const quantizedInputs = ({
  codes,
  levels,
  absmax,
  doubleQuantized: nested,
}: QuantizedParts): QuantizedInputs => ({
  codes,
  levels,
  absmax: absmax ?? undefined,
  absmaxCodes: nested?.codes,
  nestedAbsmax: nested?.absmax,
  nestedMap: nested?.map,
});

/** The attributes of an op for a matrix. */
export const quantizedAttributes = ({
  shape,
  blockSize,
  doubleQuantized,
  tiled,
}: QuantizedParts): QuantizedAttributes => ({
  rows: shape[0],
  cols: shape[1],
  blockSize,
  nestedOffset: doubleQuantized?.offset ?? 0,
  ...(tiled && { tiled }),
});

const QUANTIZED_RULES = namedRules(QUANTIZED_INPUTS);

/**
 * Checks that the arrays of a matrix are present and have the right dtypes.
 *
 * @throws QdyloraError DISPOSED, BAD_ARGUMENT, BAD_SHAPE
 */
export function assertArrays(where: string, inputs: QuantizedInputs): void {
  for (const [name, view] of Object.entries(inputs)) if (view) assertUsable(where, name, view);
  assertTaken(where, QUANTIZED_RULES, inputs);
}

/** The names of a weight's arrays in a call. */
export type QuantizedNames = Readonly<Record<keyof QuantizedInputs, string>>;

const OWN_NAMES: QuantizedNames = {
  codes: 'codes',
  levels: 'levels',
  absmax: 'absmax',
  absmaxCodes: 'absmaxCodes',
  nestedAbsmax: 'nestedAbsmax',
  nestedMap: 'nestedMap',
};

const SCALES = ['absmax', 'absmaxCodes', 'nestedAbsmax', 'nestedMap'] as const;

/**
 * Checks the arrays of a quantized weight against its attributes.
 *
 * @throws QdyloraError BAD_SHAPE; UNSUPPORTED for a block size
 */
export function assertQuantized(
  where: string,
  inputs: Arrays,
  { rows, cols, blockSize, tiled }: QuantizedAttributes,
  names: QuantizedNames = OWN_NAMES,
): void {
  const weights = rows * cols;
  const blocks = blockCount(weights, blockSize);
  const absmax = inputs[names.absmax];
  const absmaxCodes = inputs[names.absmaxCodes];
  const nestedAbsmax = inputs[names.nestedAbsmax];
  const nestedMap = inputs[names.nestedMap];
  assertBlockSize(blockSize, where);
  if (tiled) assertTiles([rows, cols], blockSize, where);
  assertLength(where, names.codes, inputs[names.codes]!, Math.ceil(weights / 2));
  assertLength(where, names.levels, inputs[names.levels]!, 16);
  if (absmax && !absmaxCodes && !nestedAbsmax && !nestedMap)
    return assertLength(where, names.absmax, absmax, blocks);
  if (absmax || !absmaxCodes || !nestedAbsmax || !nestedMap) {
    const present = SCALES.map((key) => names[key]).filter((name) => inputs[name]);
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem:
        `the scales must be either ${names.absmax}, or ${names.absmaxCodes}, ${names.nestedAbsmax} and ` +
        `${names.nestedMap} (got ${present.join(', ') || 'none'})`,
    });
  }
  assertLength(where, names.absmaxCodes, absmaxCodes, blocks);
  assertLength(where, names.nestedAbsmax, nestedAbsmax, blockCount(blocks, NESTED_BLOCK_SIZE));
  assertLength(where, names.nestedMap, nestedMap, 256);
}

/** Without a list for the shape: a step calls it some thousand times. */
function assertLength(where: string, name: string, { shape }: ArrayView, length: number): void {
  if (shape.length !== 1 || shape[0] !== length) assertShape(where, name, shape, [length]);
}
