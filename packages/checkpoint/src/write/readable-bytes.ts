/**
 * Bytes that are read in pieces when needed, for example from an array in device memory.
 *
 * A writer reads each byte once, in order, in pieces of at most STAGING_BYTES. It awaits one piece before it
 * reads the next, and overwrites `into` as soon as the piece is being written.
 */
export interface ReadableBytes {
  readonly byteLength: number;
  /** Fills all of `into` with the bytes from `byteOffset` on. A rejection ends the write; no file is left. */
  read(into: Uint8Array, byteOffset: number): Promise<void>;
}

/** A tensor that is read in pieces: row-major, little-endian, `byteLength` as dtype and shape say. */
export interface TensorSource extends ReadableBytes {
  /** Name of the dtype in safetensors: `F32`, `BF16`, `U8`, … */
  readonly dtype: string;
  readonly shape: readonly number[];
}

/**
 * A piece of a file: bytes in memory (long ones are written without a copy), or bytes that are read into a
 * buffer first.
 */
export type FilePiece = Uint8Array | ReadableBytes;

/** The bytes of a tensor: one piece, or several, each of which may be reused when the next is requested. */
export type TensorBytes = FilePiece | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Pieces in file order. */
export type FilePieces = Iterable<FilePiece> | AsyncIterable<FilePiece>;

/** Largest buffer between a source and the disk, one per file being written: the size of one system call. */
export const STAGING_BYTES = 2 ** 22;

/**
 * Bytes that are created when the first piece is read, and dropped after the last one: an array is copied
 * from a device only while it is being written.
 *
 * @param make called once; returns exactly `byteLength` bytes
 */
export function deferredBytes(byteLength: number, make: () => Promise<ArrayBufferView>): ReadableBytes {
  let bytes: Uint8Array | null = null;
  return {
    byteLength,
    async read(into, byteOffset) {
      if (!bytes) {
        const { buffer, byteOffset: start } = await make();
        bytes = new Uint8Array(buffer, start, byteLength);
      }
      into.set(bytes.subarray(byteOffset, byteOffset + into.length));
      if (byteOffset + into.length === byteLength) bytes = null;
    },
  };
}

/** The pieces of one tensor. */
export const piecesOfTensor = (bytes: TensorBytes): FilePieces =>
  bytes instanceof Uint8Array || 'read' in bytes ? [bytes] : bytes;

/** All pieces as bytes, for a writer that finishes one before it requests the next. */
export async function* stagedPieces(pieces: FilePieces): AsyncGenerator<Uint8Array> {
  let staging = new Uint8Array(0);
  for await (const piece of pieces) {
    if (piece instanceof Uint8Array) {
      yield piece;
      continue;
    }
    const length = Math.min(STAGING_BYTES, piece.byteLength);
    if (staging.length < length) staging = new Uint8Array(length);
    for (let done = 0; done < piece.byteLength; done += STAGING_BYTES) {
      const part = staging.subarray(0, Math.min(STAGING_BYTES, piece.byteLength - done));
      await piece.read(part, done);
      yield part;
    }
  }
}
