import { allocateBytes, type ByteSource } from '../safetensors/byte-source.ts';
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
}

/** Bytes fetched at a time: a token list is read in a few dozen system calls. */
const WINDOW_BYTES = 2 ** 18;

/** `fail` makes the error that is thrown. */
export function ggufCursor(source: ByteSource, fail: (problem: string) => Error): GgufCursor {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const end = Math.min(source.byteLength, MAX_GGUF_HEADER_BYTES);
  let bytes = Buffer.alloc(0), view = new DataView(bytes.buffer), start = 0, at = 0;

  /** Offset in the window of the next `length` bytes. */
  const take = (length: number, what: string): number => {
    const position = start + at;
    if (length > end - position) throw fail(end < source.byteLength ? `expected at most ${MAX_GGUF_HEADER_BYTES} bytes of header, got more at ${what}` : `expected ${length} bytes for ${what} at byte ${position}, got ${end - position}`);
    if (at + length > bytes.length) {
      bytes = Buffer.from(allocateBytes(Math.min(end - position, Math.max(WINDOW_BYTES, length))).buffer);
      source.readInto(bytes, position);
      view = new DataView(bytes.buffer);
      start = position;
      at = 0;
    }
    at += length;
    return at - length;
  };
  const narrow = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
  const count = (what: string, most: number): number => {
    const value = view64(what);
    if (value > BigInt(most)) throw fail(`expected at most ${most} for ${what}, got ${value}`);
    return Number(value);
  };
  const view64 = (what: string): bigint => {
    const offset = take(8, what);
    return view.getBigUint64(offset, true);
  };
  const number = (width: number, read: (offset: number) => number) => (what: string): number => {
    const offset = take(width, what);
    return read(offset);
  };

  return {
    get position() { return start + at; },
    get remaining() { return end - start - at; },
    u8: number(1, (o) => view.getUint8(o)), i8: number(1, (o) => view.getInt8(o)),
    u16: number(2, (o) => view.getUint16(o, true)), i16: number(2, (o) => view.getInt16(o, true)),
    u32: number(4, (o) => view.getUint32(o, true)), i32: number(4, (o) => view.getInt32(o, true)),
    f32: number(4, (o) => view.getFloat32(o, true)), f64: number(8, (o) => view.getFloat64(o, true)),
    u64: (what) => narrow(view64(what)), i64: (what) => narrow(BigInt.asIntN(64, view64(what))),
    count,
    string(what, maxBytes) {
      const prefix = take(8, `the length of ${what}`), length = view.getUint32(prefix, true) + view.getUint32(prefix + 4, true) * 2 ** 32; // no bigint: there are hundreds of thousands of tokens and merges
      if (length > maxBytes) throw fail(`expected at most ${maxBytes} bytes for ${what}, got ${length}`);
      const offset = take(length, what);
      if (isAscii(bytes, offset, offset + length)) return bytes.toString('latin1', offset, offset + length); // several times faster, and nearly all tokens are
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
