import { assertArgument } from '@qdylora/contract';
import {
  STAGING_BYTES,
  stagedPieces,
  type TensorBytes,
  type TensorSource,
} from '../../write/readable-bytes.ts';
import { encodeValues, type GgufWriteType } from './encode-values.ts';

/** Float32 values in memory, or a source of dtype F32 that is read while the file is written. */
export type FloatValues = Float32Array | TensorSource;

/** Rearranges or changes the values of a whole tensor. */
export type Arrange = (values: Float32Array) => Float32Array;

/** Number of values. */
export const valueCount = (values: FloatValues): number => values.byteLength / Float32Array.BYTES_PER_ELEMENT;

/**
 * The encoded bytes of a tensor. A source whose order is unchanged is encoded piece by piece; a source that
 * must be rearranged is read as a whole first.
 *
 * @throws QdyloraError BAD_ARGUMENT for a source of another dtype
 */
export async function encodedBytes(
  values: FloatValues,
  type: GgufWriteType,
  arrange: Arrange | null | undefined,
): Promise<TensorBytes> {
  if (!(values instanceof Float32Array)) {
    assertArgument(values.dtype === 'F32', 'gguf', `Values must be F32 (got a source of ${values.dtype}).`);
    if (!arrange) return type === 'F32' ? values : encodedPieces(values, type);
  }
  const whole = values instanceof Float32Array ? values : await readWhole(values);
  return encodeValues(arrange ? arrange(whole) : whole, type);
}

/**
 * Encodes a source piece by piece. Pieces begin and end at block boundaries (blocks of 32 values, or of one).
 */
async function* encodedPieces(source: TensorSource, type: GgufWriteType): AsyncGenerator<Uint8Array> {
  for await (const { buffer, byteOffset, byteLength } of stagedPieces([source]))
    yield encodeValues(
      new Float32Array(buffer, byteOffset, byteLength / Float32Array.BYTES_PER_ELEMENT),
      type,
    );
}

/** Reads all values of a source. */
async function readWhole(source: TensorSource): Promise<Float32Array> {
  const values = new Float32Array(valueCount(source));
  const bytes = new Uint8Array(values.buffer);
  for (let done = 0; done < bytes.length; done += STAGING_BYTES)
    await source.read(bytes.subarray(done, done + STAGING_BYTES), done);
  return values;
}
