import { allocateBytes, type ByteSource } from '../../read/byte-source.ts';
import { MAX_GGUF_HEADER_BYTES } from './gguf-limits.ts';

/** Bytes per read: a token list takes a few dozen system calls. */
const WINDOW_BYTES = 2 ** 18;

/** Bytes of the length field before a string. */
const LENGTH_BYTES = 8;

/** The part of a GGUF header that is in memory; `take` and `skip` move it along the file. */
export class HeaderWindow {
  bytes = Buffer.alloc(0);
  view = new DataView(this.bytes.buffer);
  /** Position of the window in the file. */
  start = 0;
  /** Position in the window. */
  #at = 0;
  readonly #source: ByteSource;
  readonly #fail: (problem: string) => Error;
  /** Upper limit of the header's end. */
  readonly #end: number;

  constructor(source: ByteSource, fail: (problem: string) => Error) {
    this.#source = source;
    this.#fail = fail;
    this.#end = Math.min(source.byteLength, MAX_GGUF_HEADER_BYTES);
  }

  get position(): number {
    return this.start + this.#at;
  }

  get remaining(): number {
    return this.#end - this.position;
  }

  /** Advances by `length` bytes, and returns their offset in the window. */
  take(length: number, label: string): number {
    this.#assertRoom(length, label);
    if (this.#at + length > this.bytes.length) {
      const { position } = this;
      const size = Math.min(this.#end - position, Math.max(WINDOW_BYTES, length));
      this.bytes = Buffer.from(allocateBytes(size).buffer);
      this.#source.readInto(this.bytes, position);
      this.view = new DataView(this.bytes.buffer);
      this.start = position;
      this.#at = 0;
    }
    this.#at += length;
    return this.#at - length;
  }

  skip(length: number, label: string): void {
    this.#assertRoom(length, label);
    if (this.#at + length <= this.bytes.length) {
      this.#at += length;
      return;
    }
    this.start = this.position + length;
    this.bytes = Buffer.alloc(0);
    this.#at = 0;
  }

  /**
   * Skips up to `most` strings that are complete in the window and shorter than 4 GiB; returns how many. A
   * vocabulary and its merges are hundreds of thousands of strings, so the loop uses local variables only.
   */
  skipWhole(most: number): number {
    const { view } = this;
    const end = this.bytes.length;
    const lastStart = end - LENGTH_BYTES;
    let next = this.#at;
    let skipped = 0;
    for (; skipped < most && next <= lastStart && view.getUint32(next + 4, true) === 0; skipped++) {
      const following = next + LENGTH_BYTES + view.getUint32(next, true);
      if (following > end) break;
      next = following;
    }
    this.#at = next;
    return skipped;
  }

  #assertRoom(length: number, label: string): void {
    if (length <= this.remaining) return;
    throw this.#fail(
      this.#end < this.#source.byteLength
        ? `the header has more than ${MAX_GGUF_HEADER_BYTES} bytes, at ${label}`
        : `${length} bytes are needed for ${label} at byte ${this.position}, but only ` +
            `${this.remaining} are left`,
    );
  }
}
