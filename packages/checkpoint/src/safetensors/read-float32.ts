import { float32FromFloat16, QdyloraError } from '@qdylora/contract';

/** Dtypes that `readFloat32` supports. */
export const FLOAT_DTYPES = ['F32', 'F16', 'BF16', 'F64'] as const;

/**
 * Bytes converted at a time, so that a tensor is never in memory twice; 1 MiB fits in the second-level cache.
 */
const PIECE_BYTES = 2 ** 20;

/** Checks a dtype. @throws QdyloraError UNSUPPORTED for anything but a float of 16 to 64 bits. */
export function assertFloatDtype(dtype: string, label: string): void {
  if ((FLOAT_DTYPES as readonly string[]).includes(dtype)) return;
  throw new QdyloraError('UNSUPPORTED', {
    where: 'tensor',
    problem:
      `${label} is ${dtype}, which cannot be read as float32. Supported: ` + `${FLOAT_DTYPES.join(', ')}.`,
    nextStep: 'Take the bytes with readBytes() and decode them yourself.',
    details: { dtype, supported: FLOAT_DTYPES },
  });
}

/**
 * Converts a plain float dtype to float32 in `values`. @throws QdyloraError UNSUPPORTED for any other dtype.
 */
export function readAsFloat32(
  dtype: string,
  values: Float32Array,
  readInto: (target: Uint8Array, byteOffset: number) => void,
  label: string,
): void {
  assertFloatDtype(dtype, label);
  const widening = WIDENINGS.get(dtype);
  if (widening) readWidened(values, widening, readInto);
  else readInto(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 0);
}

/** Converts `length` values of another width to float32 at `values[at…]`. */
interface Widening {
  readonly bytes: number;
  convert(piece: ArrayBuffer, length: number, values: Float32Array, at: number): void;
}

const WIDENINGS: ReadonlyMap<string, Widening> = new Map([
  [
    'F16',
    {
      bytes: 2,
      convert(piece, length, values, at) {
        float32FromFloat16(new Uint16Array(piece, 0, length), values.subarray(at, at + length));
      },
    },
  ],
  [
    'BF16',
    {
      bytes: 2,
      convert(piece, length, values, at) {
        const halves = new Uint16Array(piece, 0, length);
        const bits = new Uint32Array(values.buffer, values.byteOffset + at * 4, length);
        // a bfloat16 is the upper half of a float32
        for (let i = 0; i < length; i++) bits[i] = halves[i] << 16;
      },
    },
  ],
  [
    'F64',
    {
      bytes: 8,
      convert(piece, length, values, at) {
        values.set(new Float64Array(piece, 0, length), at);
      },
    },
  ],
] satisfies [string, Widening][]);

function readWidened(
  values: Float32Array,
  { bytes, convert }: Widening,
  readInto: (target: Uint8Array, byteOffset: number) => void,
): void {
  const piece = new ArrayBuffer(Math.min(PIECE_BYTES, values.length * bytes));
  const perPiece = PIECE_BYTES / bytes;
  for (let at = 0; at < values.length; at += perPiece) {
    const length = Math.min(perPiece, values.length - at);
    readInto(new Uint8Array(piece, 0, length * bytes), at * bytes);
    convert(piece, length, values, at);
  }
}
