import { QdyloraError } from '@qdylora/contract';
import { blockCount } from './block-size.ts';

const MAGNITUDE_BITS = 0x7fffffff;
const INFINITY_BITS = 0x7f800000;

/**
 * The largest magnitude of every block of a flat float32 array, exact.  values: [n] → [ceil(n / blockSize)]
 *
 * It compares bit patterns: without their sign, float32 numbers are ordered as their bits, and a pattern from
 * that of infinity on is infinite or NaN.
 *
 * @param what names the values in the message
 * @throws QdyloraError NON_FINITE with the index of the first value that is infinite or NaN (`details.index`)
 */
export function blockAbsmax(values: Float32Array, blockSize: number, what = 'weights'): Float32Array {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const absmax = new Float32Array(blockCount(values.length, blockSize));
  const absmaxBits = new Int32Array(absmax.buffer);
  for (let block = 0; block < absmax.length; block++) {
    const end = Math.min((block + 1) * blockSize, values.length);
    let largest = 0;
    for (let i = block * blockSize; i < end; i++) {
      const magnitude = bits[i] & MAGNITUDE_BITS;
      if (magnitude > largest) largest = magnitude;
    }
    if (largest >= INFINITY_BITS) throw nonFinite(values, block * blockSize, what);
    absmaxBits[block] = largest;
  }
  return absmax;
}

function nonFinite(values: Float32Array, from: number, what: string): QdyloraError {
  const index = values.findIndex((value, i) => i >= from && !Number.isFinite(value));
  return new QdyloraError('NON_FINITE', {
    where: 'quant',
    problem: `the ${what} must be finite (got ${values[index]} at index ${index}, row-major)`,
    nextStep: 'Check the file, or the computation that produced them.',
    details: { index, value: values[index] },
  });
}
