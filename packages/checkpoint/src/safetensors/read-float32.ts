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
    problem: `${label} is ${dtype}, which cannot be read as float32. Supported: ${FLOAT_DTYPES.join(', ')}.`,
    nextStep: 'Take the bytes with readBytes() and decode them yourself.',
    details: { dtype, supported: FLOAT_DTYPES },
  });
}

/** Fills `target` with the bytes of a tensor from `byteOffset` on. */
export type ReadInto = (target: Uint8Array, byteOffset: number) => void;

/** A tensor whose values are read as float32. `label` names it in messages. */
export interface FloatSource {
  readonly dtype: string;
  readonly label: string;
  readonly readInto: ReadInto;
}

/**
 * Converts a plain float dtype to float32 in `values`. @throws QdyloraError UNSUPPORTED for any other dtype.
 */
export function readAsFloat32(values: Float32Array, { dtype, label, readInto }: FloatSource): void {
  assertFloatDtype(dtype, label);
  const widening = WIDENINGS.get(dtype);
  if (widening) readWidened(values, widening, readInto);
  else readInto(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 0);
}

/** Fills `values` with the values of another width at the start of `piece`. */
interface Widening {
  readonly bytes: number;
  convert(piece: ArrayBuffer, values: Float32Array): void;
}

const WIDENINGS: ReadonlyMap<string, Widening> = new Map([
  [
    'F16',
    {
      bytes: 2,
      convert(piece, values) {
        float32FromFloat16(new Uint16Array(piece, 0, values.length), values);
      },
    },
  ],
  [
    'BF16',
    {
      bytes: 2,
      convert(piece, values) {
        const halves = new Uint16Array(piece, 0, values.length);
        const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
        // a bfloat16 is the upper half of a float32
        for (let i = 0; i < bits.length; i++) bits[i] = halves[i] << 16;
      },
    },
  ],
  [
    'F64',
    {
      bytes: 8,
      convert(piece, values) {
        values.set(new Float64Array(piece, 0, values.length));
      },
    },
  ],
] satisfies [string, Widening][]);

function readWidened(values: Float32Array, { bytes, convert }: Widening, readInto: ReadInto): void {
  const piece = new ArrayBuffer(Math.min(PIECE_BYTES, values.length * bytes));
  const perPiece = PIECE_BYTES / bytes;
  for (let at = 0; at < values.length; at += perPiece) {
    const length = Math.min(perPiece, values.length - at);
    readInto(new Uint8Array(piece, 0, length * bytes), at * bytes);
    convert(piece, values.subarray(at, at + length));
  }
}
