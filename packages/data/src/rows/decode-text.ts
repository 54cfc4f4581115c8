import { badData } from '../bad-data.ts';

/** Strict UTF-8: a wrong byte is an error, never a silent U+FFFD. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Bytes of a dataset as text.
 *
 * @throws QdyloraError BAD_DATA for bytes that are not UTF-8.
 */
export function decodeText(bytes: Uint8Array, where: string): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw badData(where, `expected UTF-8 text, got ${guess(bytes)}`, 'Convert it, for instance: iconv -f WINDOWS-1252 -t UTF-8 in > out.', cause);
  }
}

function guess(bytes: Uint8Array): string {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return 'a gzip file (decompress it first: gunzip)';
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) return 'what looks like UTF-16';
  return 'bytes of another encoding';
}
