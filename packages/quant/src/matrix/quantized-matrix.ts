import {
  assertArgument,
  byteLengthOf,
  elementCount,
  f32View,
  hostData,
  QdyloraError,
  shownValue,
  type ArrayView,
} from '@qdylora/contract';
import { NESTED_BLOCK_SIZE } from '../blocks/double-quantize.ts';
import { levelsOf } from '../codebooks/levels-of.ts';
import { decodeScales } from '../ops/decode-weights.ts';
import {
  assertArrays,
  assertQuantized,
  quantizedAttributes,
  quantizedInputs,
} from '../ops/quantized-inputs.ts';
import type { DoubleQuantizedScales, QuantizedParts } from './quantized-parts.ts';

/**
 * A matrix in 4 bits a weight. Blocks run along the flat row-major index, so one may straddle rows; the last
 * may be short.
 *
 * ```
 * weights   w0 w1 w2 w3 … w63 │ w64 …      weight i = levels[code i] · scale[i div blockSize]
 * codes     [w0 w1][w2 w3] …               a byte: high nibble = even weight, low = odd
 * scales    absmax[0]         │ absmax[1]  32 bits each, or 8 bits each plus 32 for every 256
 * ```
 */
export interface QuantizedMatrix extends QuantizedParts {
  /**
   * Bits of codes and scales per weight: 4 + 32/blockSize, or 4 + 8/blockSize + 32/(256 · blockSize), plus
   * padding.
   */
  readonly bitsPerWeight: number;
  /**
   * Bytes of codes and scales. The codebooks (64 bytes, and 1 KiB for double quantization) are the same for
   * all matrices and not counted.
   */
  readonly byteLength: number;
}

/**
 * Assembles a matrix and checks it once: kernels do not check scales again.
 *
 * @throws QdyloraError BAD_SHAPE if an array does not fit the shape and block size, or both forms of the
 * scales are present; BAD_ARGUMENT for a dtype, another nested block size than 256, or an offset that is no
 * number; UNSUPPORTED for an unknown kind or block size; NON_FINITE for a scale or level that is not finite
 * in float32; DISPOSED
 */
export function quantizedMatrix(parts: QuantizedParts): QuantizedMatrix {
  const { kind, shape, codes, levels, absmax, doubleQuantized: nested } = parts;
  const where = 'quantized-matrix';
  const inputs = quantizedInputs(parts);
  if (!isMatrixShape(shape))
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem: `the shape of a matrix must be two whole numbers ≥ 1 (got [${String(shape)}])`,
    });
  levelsOf(kind);
  assertArrays(where, inputs);
  assertQuantized(where, inputs, quantizedAttributes(parts));
  for (const [name, view] of Object.entries({
    levels,
    absmax,
    'scales of the scales': nested?.absmax,
    'map of the scales': nested?.map,
  }))
    if (view?.storage.space.isHost) assertFinite(name, view);
  if (nested) assertStoredScales(where, nested);
  if (nested && !Number.isFinite(Math.fround(nested.offset)))
    throw notFinite('offset of the scales', 0, nested.offset);
  // Only if the largest possible scale overflows float32 is each scale decoded and checked.
  if (
    nested?.absmax.storage.space.isHost &&
    !Number.isFinite(Math.fround(largestOf(nested.map) * largestOf(nested.absmax) + Math.abs(nested.offset)))
  )
    assertFinite(
      'decoded scales',
      f32View([inputs.absmaxCodes!.shape[0]], decodeScales(inputs, quantizedAttributes(parts))),
    );
  const scales = nested ? [nested.codes, nested.absmax] : [absmax!];
  const byteLength = [codes, ...scales].reduce((sum, view) => sum + byteLengthOf(view), 0);
  return { ...parts, byteLength, bitsPerWeight: (8 * byteLength) / elementCount(shape) };
}

/** What types say and JavaScript does not check. */
function assertStoredScales(where: string, { blockSize, offset }: DoubleQuantizedScales): void {
  assertArgument(
    blockSize === NESTED_BLOCK_SIZE,
    where,
    `${NESTED_BLOCK_SIZE} block scales must share a nested scale (got blockSize ${shownValue(blockSize)})`,
  );
  assertArgument(
    typeof offset === 'number',
    where,
    `the offset of the scales must be a number (got ${shownValue(offset)})`,
  );
}

/** True for the shape of a non-empty matrix whose elements can be counted exactly. */
export const isMatrixShape = (shape: unknown): shape is readonly [number, number] =>
  Array.isArray(shape) &&
  shape.length === 2 &&
  shape.every((size) => Number.isSafeInteger(size) && size >= 1) &&
  Number.isSafeInteger(shape[0] * shape[1]);

const largestOf = (view: ArrayView<'f32'>): number =>
  hostData(view).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

function assertFinite(name: string, view: ArrayView<'f32'>): void {
  const data = hostData(view);
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) throw notFinite(name, i, data[i]);
}

const notFinite = (name: string, index: number, value: number): QdyloraError =>
  new QdyloraError('NON_FINITE', {
    where: 'quantized-matrix',
    problem: `the ${name} must be finite (got ${value} at ${index})`,
    nextStep: 'The file is damaged, or was quantized from weights that are not finite.',
    details: { index },
  });
