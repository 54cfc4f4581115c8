import { assertArgument } from '@qdylora/contract';
import type { FilePiece } from './readable-bytes.ts';

/** Checks that the pieces of one tensor have as many bytes as its dtype and shape say. */
export interface ByteCount {
  /** Counts a piece and returns it. @throws QdyloraError BAD_ARGUMENT for a byte too many */
  add<P extends FilePiece>(piece: P): P;
  /** @throws QdyloraError BAD_ARGUMENT for a byte too few */
  end(): void;
}

/**
 * Counts the bytes of one tensor.
 *
 * @param where the format, as errors name it
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
