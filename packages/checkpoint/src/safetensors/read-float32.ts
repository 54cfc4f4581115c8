import { float32FromFloat16, QdyloraError } from '@qdylora/contract';

/** Dtypes that `readFloat32` takes. */
export const FLOAT_DTYPES = ['F32', 'F16', 'BF16', 'F64'] as const;

/**
 * Narrow values are widened piece by piece, so that a tensor never lies in memory twice; 1 MiB stays in the
 * second-level cache.
 */
const PIECE_BYTES = 2 ** 20;

/** @throws QdyloraError UNSUPPORTED for a dtype that is no float of 16 to 64 bits. */
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

/** Fills `values` with those of a plain float dtype. @throws QdyloraError UNSUPPORTED for any other dtype. */
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

/** How a piece of `length` narrow (or wide) values becomes float32 at `values[at…]`. */
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
