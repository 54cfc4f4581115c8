import { QdyloraError } from '@qdylora/contract';

/** Parts of the error for an invalid file. */
export interface BadFileParts {
  /** The format: `safetensors`, `gguf`, `config.json`, … */
  readonly format: string;
  /** The path as the caller named it. */
  readonly path: string;
  /** A sentence, or a clause in lower case that continues `path: `. */
  readonly problem: string;
  readonly nextStep?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Creates the error for a damaged or hostile file: code `BAD_FILE`, the file first, the advice last. */
export function badFile({ format, path, problem, nextStep, details, cause }: BadFileParts): QdyloraError {
  return new QdyloraError('BAD_FILE', {
    where: format,
    problem: `${path}: ${problem}`,
    details: { path, ...details },
    cause,
    nextStep:
      nextStep ??
      'The file was cut short, damaged or made by something else. Download it again, or write it again.',
  });
}

/**
 * Recognizes the usual results of a failed download; null for anything else. `start`: the first bytes of the
 * file.
 */
export function mistakenFile(start: Uint8Array): { readonly got: string; readonly nextStep: string } | null {
  const text = Buffer.from(start.buffer, start.byteOffset, Math.min(start.length, MISTAKEN_START)).toString(
    'latin1',
  );
  if (text.startsWith('version https://git-lfs'))
    return { got: "Git LFS's pointer to it", nextStep: 'Fetch the file itself: git lfs pull.' };
  if (/^\s*<(!doctype|html)/i.test(text))
    return { got: 'a web page', nextStep: 'Download the file itself, not the page that shows it.' };
  return null;
}

const MISTAKEN_START = 64;

const PRINTED_NAME_LENGTH = 200; // a hostile name may be 64 KiB; a message stays readable

/** A name from a file for a message: quoted, with control characters escaped, and shortened. */
export const printedName = (name: string): string =>
  JSON.stringify(name.length > PRINTED_NAME_LENGTH ? `${name.slice(0, PRINTED_NAME_LENGTH)}…` : name);
