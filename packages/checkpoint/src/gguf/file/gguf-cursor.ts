import { badFile } from '../../bad-file.ts';
import type { ByteSource } from '../../read/byte-source.ts';
import { HeaderWindow } from './header-window.ts';

type Fail = (problem: string, details?: Readonly<Record<string, unknown>>) => Error;

/** Reads the numbers and strings of a GGUF header in order, through a window that moves along the file. */
export interface GgufCursor {
  readonly position: number;
  /** Bytes up to the end of the file, or up to the limit of a header. */
  readonly remaining: number;
  /** The error for a problem of this file. */
  readonly fail: Fail;
  u8(label: string): number;
  i8(label: string): number;
  u16(label: string): number;
  i16(label: string): number;
  u32(label: string): number;
  i32(label: string): number;
  f32(label: string): number;
  f64(label: string): number;
  /** A 64-bit number; `bigint` if a number cannot hold it exactly. */
  u64(label: string): number | bigint;
  i64(label: string): number | bigint;
  /** A 64-bit count or size from 0 to `most`. */
  count(label: string, most: number): number;
  /** A string: a 64-bit length and that many bytes of valid UTF-8. */
  string(label: string, maxBytes: number): string;
  /** Skips `count` strings without decoding them. */
  skipStrings(count: number, label: string, maxBytes: number): void;
  skip(bytes: number, label: string): void;
}

/** Creates a cursor at the start of the file. */
export function ggufCursor(source: ByteSource): GgufCursor {
  const fail: Fail = (problem, details) => badFile({ format: 'gguf', path: source.path, problem, details });
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const window = new HeaderWindow(source, fail);
  const numbers = numberReaders(window);
  const stringBytes = (label: string, most: number): number => {
    const prefix = window.take(8, `the length of ${label}`);
    const { view } = window;
    // no bigint, which is slow: there are hundreds of thousands of tokens and merges
    const length = view.getUint32(prefix, true) + view.getUint32(prefix + 4, true) * 2 ** 32;
    if (length > most) throw fail(`${label} must be at most ${most} bytes (got ${length})`);
    return length;
  };
  return {
    ...numbers,
    fail,
    get position() {
      return window.position;
    },
    get remaining() {
      return window.remaining;
    },
    count(label, most) {
      const value = numbers.u64(label);
      if (value > most) throw fail(`${label} must be at most ${most} (got ${value})`);
      return Number(value);
    },
    skip: (bytes, label) => window.skip(bytes, label),
    skipStrings(count, label, maxBytes) {
      for (let left = count; left > 0; left--) {
        left -= window.skipWhole(left - 1);
        window.skip(stringBytes(label, maxBytes), label);
      }
    },
    string(label, maxBytes) {
      const length = stringBytes(label, maxBytes);
      const offset = window.take(length, label);
      const { bytes, start } = window;
      // several times faster than UTF-8, and nearly all tokens are ASCII
      if (isAscii(bytes, offset, offset + length)) return bytes.toString('latin1', offset, offset + length);
      try {
        return decoder.decode(bytes.subarray(offset, offset + length));
      } catch {
        throw fail(`${label} at byte ${start + offset} must be valid UTF-8 (got something else)`);
      }
    },
  };
}

type NumberReaders = Pick<
  GgufCursor,
  'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64' | 'u64' | 'i64'
>;

/** Readers of the format's number types, all little-endian. */
function numberReaders(window: HeaderWindow): NumberReaders {
  const reader =
    <T>(width: number, read: (view: DataView, offset: number) => T) =>
    (label: string): T => {
      const offset = window.take(width, label);
      return read(window.view, offset);
    };
  const narrow = (value: bigint): number | bigint =>
    Number.isSafeInteger(Number(value)) ? Number(value) : value;
  return {
    u8: reader(1, (view, offset) => view.getUint8(offset)),
    i8: reader(1, (view, offset) => view.getInt8(offset)),
    u16: reader(2, (view, offset) => view.getUint16(offset, true)),
    i16: reader(2, (view, offset) => view.getInt16(offset, true)),
    u32: reader(4, (view, offset) => view.getUint32(offset, true)),
    i32: reader(4, (view, offset) => view.getInt32(offset, true)),
    f32: reader(4, (view, offset) => view.getFloat32(offset, true)),
    f64: reader(8, (view, offset) => view.getFloat64(offset, true)),
    u64: reader(8, (view, offset) => narrow(view.getBigUint64(offset, true))),
    i64: reader(8, (view, offset) => narrow(view.getBigInt64(offset, true))),
  };
}

function isAscii(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] >= 0x80) return false;
  return true;
}
