import { NODE_FILE_SYSTEM } from './file-system.ts';
import { stagedPieces, type FilePieces } from './readable-bytes.ts';
import { temporaryFile, type WriteOptions } from './temporary-file.ts';

/**
 * Writes a file whose pieces arrive or are read during the write; see `FilePieces`.
 *
 * @throws QdyloraError WRITE_FAILED; the error of a piece that cannot be read. No file is left then.
 */
export async function streamFile(
  path: string,
  pieces: FilePieces,
  { fs = NODE_FILE_SYSTEM, isSynced = true }: Partial<WriteOptions> = {},
): Promise<void> {
  const file = temporaryFile(path, { fs, isSynced });
  try {
    file.open();
    for await (const piece of stagedPieces(pieces)) file.write(piece);
    file.commit();
  } catch (cause) {
    throw file.discard(cause);
  }
}
