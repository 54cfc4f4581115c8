import { assertArgument } from '@qdylora/contract';
import type { FilePiece } from './readable-bytes.ts';

/** Checks that the pieces of a tensor have the number of bytes of its dtype and shape. */
export interface ByteCount {
  /** Counts a piece and returns it. @throws QdyloraError BAD_ARGUMENT for too many bytes */
  add<P extends FilePiece>(piece: P): P;
  /** Ends the tensor. @throws QdyloraError BAD_ARGUMENT for too few bytes */
  end(): void;
}

/**
 * Counts the bytes of a tensor.
 *
 * @param where the format, for errors
 * @param label the tensor's name, dtype and shape
 */
export function countBytes(where: string, label: string, expectedBytes: number): ByteCount {
  let count = 0;
  return {
    add(piece) {
      count += piece.byteLength;
      assertArgument(
        count <= expectedBytes,
        where,
        `${label} must have ${expectedBytes} bytes (got ${count} or more)`,
      );
      return piece;
    },
    end() {
      assertArgument(
        count === expectedBytes,
        where,
        `${label} must have ${expectedBytes} bytes (got ${count})`,
      );
    },
  };
}
