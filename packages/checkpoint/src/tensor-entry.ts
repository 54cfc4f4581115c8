import type { ReadFile } from './thread/file-thread.ts';

export interface ReadAsyncOptions {
  /** Default: 0. */
  readonly byteOffset?: number;
  /** Default: all bytes after `byteOffset`. */
  readonly length?: number;
  /** Reads past the system's cache. Default: the system's threads. */
  readonly read?: ReadFile;
}

/** A tensor of a checkpoint: its description, and functions that read it. */
export interface TensorEntry {
  readonly name: string;
  /** As the file names it: `F32`, `BF16`, `U8`, … or a GGUF type such as `Q4_K`. */
  readonly dtype: string;
  /** Row-major. */
  readonly shape: readonly number[];
  /** Size in the file. */
  readonly byteLength: number;
  /** Reads the bytes of the file into new memory, so that a typed array can use `.buffer`. */
  readBytes(): Uint8Array<ArrayBuffer>;
  /**
   * Fills `target` with bytes of this tensor from `byteOffset` on. @throws QdyloraError BAD_ARGUMENT outside
   * of the tensor.
   */
  readInto(target: Uint8Array, byteOffset?: number): void;
  /**
   * Reads bytes in the background into a part of `buffer`, which has room for PAGES_AROUND more; returns
   * that part. Absent if the entry transforms the file's bytes. Do not free `buffer` or dispose the
   * checkpoint before it resolves. A page-aligned `buffer` may bypass the page cache.
   */
  readAsync?(buffer: Uint8Array, options?: ReadAsyncOptions): Promise<Uint8Array>;
  /**
   * Reads the values as float32, row-major. Exact for F16, BF16 and F32, rounded to nearest for F64,
   * dequantized for GGUF's packed types. @throws QdyloraError UNSUPPORTED for other types.
   */
  readFloat32(): Float32Array<ArrayBuffer>;
  /** Reads the values into existing memory. @throws QdyloraError BAD_ARGUMENT if its length differs. */
  readFloat32Into(target: Float32Array): void;
}
