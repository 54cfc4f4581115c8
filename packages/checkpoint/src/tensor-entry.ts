import type { ReadFile } from './thread/file-thread.ts';

export interface ReadBehindOptions {
  /** 0 by default. */
  readonly byteOffset?: number;
  /** All that follows by default. */
  readonly length?: number;
  /** Reads past the cache; the system's threads by default. */
  readonly read?: ReadFile;
}

/**
 * One tensor of a checkpoint: what it is, and how to get its bytes. Nothing is read before a `read…` is
 * called.
 */
export interface TensorEntry {
  readonly name: string;
  /** The file's own word: `F32`, `BF16`, `U8`, … or a GGUF type such as `Q4_K`. */
  readonly dtype: string;
  /** Row-major. */
  readonly shape: readonly number[];
  /** Bytes in the file. */
  readonly byteLength: number;
  /** The bytes as the file has them, in memory of their own, so a typed array may be laid over `.buffer`. */
  readBytes(): Uint8Array<ArrayBuffer>;
  /**
   * Fills `target` with the bytes from `byteOffset` of this tensor on. @throws QdyloraError BAD_ARGUMENT
   * where that is outside.
   */
  readInto(target: Uint8Array, byteOffset?: number): void;
  /**
   * Reads bytes while the caller goes on, into some part of `place`, which has room for PAGES_AROUND more;
   * returns that part. Only where they lie in a file as they are asked for. `place` must stay, and the
   * checkpoint open, until then. One that begins on a page may be read into past the system's cache.
   */
  readBehind?(place: Uint8Array, options?: ReadBehindOptions): Promise<Uint8Array>;
  /**
   * The values as float32, row-major; exact for F16, BF16 and F32, rounded to nearest for F64, dequantized
   * for GGUF's packed types.
   * @throws QdyloraError UNSUPPORTED for other types.
   */
  readFloat32(): Float32Array<ArrayBuffer>;
  /**
   * The same values into memory that is there already. @throws QdyloraError BAD_ARGUMENT where it has another
   * length.
   */
  readFloat32Into(target: Float32Array): void;
}
