import { badData } from '../bad-data.ts';

/** Strict UTF-8: an invalid byte is an error, never a silent U+FFFD. */
export const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decodes bytes of a dataset.
 *
 * @throws QdyloraError BAD_DATA for bytes that are not UTF-8.
 */
export function decodeText(bytes: Uint8Array, where: string): string {
  try {
    return strictDecoder.decode(bytes);
  } catch (cause) {
    const { description, nextStep } = guess(bytes);
    throw badData(where, `The file must be UTF-8 text (got ${description})`, nextStep, cause);
  }
}

interface Guess {
  readonly description: string;
  readonly nextStep: string;
}

const packed = (kind: string, tool: string): Guess => ({
  description: `a ${kind} file`,
  nextStep: `Unpack it first: ${tool}.`,
});
const encoded = (description: string, name: string): Guess => ({
  description,
  nextStep: `Convert it, for instance: iconv -f ${name} -t UTF-8 in > out.`,
});

/** Arrow: what `datasets` stores in its cache and writes with `save_to_disk`. */
const ARROW: Guess = {
  description: 'an Arrow file',
  nextStep:
    'Write it as Parquet: python -c "from datasets import Dataset; ' +
    `Dataset.from_file('in.arrow').to_parquet('out.parquet')"`,
};

/** First bytes of files that are often mistaken for text. */
const BEGINNINGS: readonly (readonly [start: string, guess: Guess])[] = [
  ['\x1f\x8b', packed('gzip', 'gunzip')],
  ['PK\x03\x04', packed('zip', 'unzip')],
  ['\x28\xb5\x2f\xfd', packed('zstd', 'unzstd')],
  ['BZh', packed('bzip2', 'bunzip2')],
  ['\xfd7zXZ', packed('xz', 'unxz')],
  ['\xff\xff\xff\xff', ARROW],
  ['ARROW1', ARROW],
  ['\xff\xfe', encoded('text that looks like UTF-16', 'UTF-16')],
  ['\xfe\xff', encoded('text that looks like UTF-16', 'UTF-16')],
];

const guess = (bytes: Uint8Array): Guess => {
  const start = String.fromCharCode(...bytes.subarray(0, 8));
  return (
    BEGINNINGS.find(([beginning]) => start.startsWith(beginning))?.[1] ??
    encoded('bytes of another encoding', 'WINDOWS-1252')
  );
};
