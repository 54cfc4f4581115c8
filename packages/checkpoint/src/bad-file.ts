import { QdyloraError } from '@qdylora/contract';

/** What is wrong with bytes that came from outside. */
export interface BadFileParts {
  /** The format that was being read: `safetensors`, `gguf`, `config.json`, … */
  readonly format: string;
  /** The file as the caller named it. */
  readonly path: string;
  /** `expected X for Y, got Z`. */
  readonly problem: string;
  readonly nextStep?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The one place where a complaint about a damaged or hostile file is put together: code `BAD_FILE`, file named first, advice last. */
export function badFile({ format, path, problem, nextStep, details, cause }: BadFileParts): QdyloraError {
  return new QdyloraError('BAD_FILE', {
    where: format, problem: `${path}: ${problem}`, details: { path, ...details }, cause,
    nextStep: nextStep ?? 'The file was cut short, damaged or made by something else. Download it again, or write it again.',
  });
}

const PRINTED_NAME_LENGTH = 200; // a hostile name may be 64 KiB; a message stays readable

/** A name from a file as a message shows it: quoted, control characters escaped, cut when long. */
export const printedName = (name: string): string =>
  JSON.stringify(name.length > PRINTED_NAME_LENGTH ? `${name.slice(0, PRINTED_NAME_LENGTH)}…` : name);
