import { allocateBytes, type ByteSource } from '../../read/byte-source.ts';
import { MAX_GGUF_HEADER_BYTES } from './gguf-limits.ts';

/** Reads the numbers and strings of a GGUF header in order, through a window that moves along the file. */
export interface GgufCursor {
  readonly position: number;
  /** Bytes between here and the end of the file, or of the room that a header may take. */
  readonly remaining: number;
  u8(what: string): number;
  i8(what: string): number;
  u16(what: string): number;
  i16(what: string): number;
  u32(what: string): number;
  i32(what: string): number;
  f32(what: string): number;
  f64(what: string): number;
  /** 64-bit numbers are `bigint` where a number cannot hold them. */
  u64(what: string): number | bigint;
  i64(what: string): number | bigint;
  /** A 64-bit count or size from 0 to `most`. */
  count(what: string, most: number): number;
  /** A 64-bit length and that many bytes of valid UTF-8. */
  string(what: string, maxBytes: number): string;
  /** Moves past so many strings without looking at them. */
  skipStrings(count: number, what: string, maxBytes: number): void;
  skip(bytes: number, what: string): void;
}

/** Bytes fetched at a time: a token list is read in a few dozen system calls. */
const WINDOW_BYTES = 2 ** 18;

/** The part of a header that is in memory; `take` and `skip` move it along. */
interface Window {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly position: number;
  readonly remaining: number;
  /** Where the window begins in the file. */
  readonly start: number;
  /** Offset in the window of the next `length` bytes. */
  take(length: number, what: string): number;
  skip(length: number, what: string): void;
  /**
   * Moves past at most so many strings of less than 4 GiB that lie in the window whole; how many those were.
   */
  skipWhole(most: number): number;
}

function headerWindow(source: ByteSource, fail: (problem: string) => Error): Window {
  const end = Math.min(source.byteLength, MAX_GGUF_HEADER_BYTES);
  let bytes = Buffer.alloc(0);
  let view = new DataView(bytes.buffer);
  let start = 0;
  let at = 0;
  /** Where the next `length` bytes stand in the file; they are there. */
  const placeOf = (length: number, what: string): number => {
    const position = start + at;
    if (length > end - position)
      throw fail(
        end < source.byteLength
          ? `expected at most ${MAX_GGUF_HEADER_BYTES} bytes of header, got more at ${what}`
          : `expected ${length} bytes for ${what} at byte ${position}, got ${end - position}`,
      );
    return position;
  };
  return {
    get bytes() {
      return bytes;
    },
    get view() {
      return view;
    },
    get position() {
      return start + at;
    },
    get remaining() {
      return end - start - at;
    },
    get start() {
      return start;
    },
    take(length, what) {
      const position = placeOf(length, what);
      if (at + length > bytes.length) {
        bytes = Buffer.from(allocateBytes(Math.min(end - position, Math.max(WINDOW_BYTES, length))).buffer);
        source.readInto(bytes, position);
        view = new DataView(bytes.buffer);
        start = position;
        at = 0;
      }
      at += length;
      return at - length;
    },
    skip(length, what) {
      const position = placeOf(length, what);
      if (at + length <= bytes.length) at += length;
      else [bytes, start, at] = [Buffer.alloc(0), position + length, 0];
    },
    skipWhole(most) {
      // a loop of its own, over what does not change: a vocabulary and its merges are hundreds of thousands of
      // strings
      const within = view;
      const until = bytes.length - 8;
      let next = at;
      let skipped = 0;
      for (; skipped < most && next <= until && within.getUint32(next + 4, true) === 0; skipped++) {
        const behind = next + 8 + within.getUint32(next, true);
        if (behind > until + 8) break;
        next = behind;
      }
      at = next;
      return skipped;
    },
  };
}

/** `fail` makes the error that is thrown. */
export function ggufCursor(source: ByteSource, fail: (problem: string) => Error): GgufCursor {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const window = headerWindow(source, fail);
  const { take, skip } = window;
  const narrow = (value: bigint): number | bigint =>
    Number.isSafeInteger(Number(value)) ? Number(value) : value;
  const count = (what: string, most: number): number => {
    const value = view64(what);
    if (value > BigInt(most)) throw fail(`expected at most ${most} for ${what}, got ${value}`);
    return Number(value);
  };
  const view64 = (what: string): bigint => {
    const offset = take(8, what);
    return window.view.getBigUint64(offset, true);
  };
  const stringBytes = (what: string, most: number): number => {
    const prefix = take(8, `the length of ${what}`);
    const { view } = window;
    // no bigint: there are hundreds of thousands of tokens and merges
    const length = view.getUint32(prefix, true) + view.getUint32(prefix + 4, true) * 2 ** 32;
    if (length > most) throw fail(`expected at most ${most} bytes for ${what}, got ${length}`);
    return length;
  };
  const number =
    (width: number, read: (view: DataView, offset: number) => number) =>
    (what: string): number => {
      const offset = take(width, what);
      return read(window.view, offset);
    };

  return {
    get position() {
      return window.position;
    },
    get remaining() {
      return window.remaining;
    },
    u8: number(1, (v, o) => v.getUint8(o)),
    i8: number(1, (v, o) => v.getInt8(o)),
    u16: number(2, (v, o) => v.getUint16(o, true)),
    i16: number(2, (v, o) => v.getInt16(o, true)),
    u32: number(4, (v, o) => v.getUint32(o, true)),
    i32: number(4, (v, o) => v.getInt32(o, true)),
    f32: number(4, (v, o) => v.getFloat32(o, true)),
    f64: number(8, (v, o) => v.getFloat64(o, true)),
    u64: (what) => narrow(view64(what)),
    i64: (what) => narrow(BigInt.asIntN(64, view64(what))),
    count,
    skip,
    skipStrings(count, what, maxBytes) {
      for (let left = count; left > 0; left--) {
        left -= window.skipWhole(left - 1);
        skip(stringBytes(what, maxBytes), what);
      }
    },
    string(what, maxBytes) {
      const length = stringBytes(what, maxBytes);
      const offset = take(length, what);
      const { bytes, start } = window;
      // several times faster, and nearly all tokens are
      if (isAscii(bytes, offset, offset + length)) return bytes.toString('latin1', offset, offset + length);
      try {
        return decoder.decode(bytes.subarray(offset, offset + length));
      } catch {
        throw fail(`expected valid UTF-8 for ${what} at byte ${start + offset}, got something else`);
      }
    },
  };
}

function isAscii(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}
