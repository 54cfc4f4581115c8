import { QdyloraError } from '@qdylora/contract';

/** What to do with a row that cannot be used: stop, or leave it out and count it. */
export const BAD_ROW_POLICIES = ['error', 'skip'] as const;
/** One of `BAD_ROW_POLICIES`. */
export type BadRowPolicy = (typeof BAD_ROW_POLICIES)[number];

/** Number of messages kept for the report. */
const KEPT_MESSAGES = 5;

export interface BadRows {
  readonly count: number;
  /** The first messages; each names file and line. */
  readonly messages: readonly string[];
  /** Ignored files without rows. */
  readonly emptyFiles: readonly string[];
  /** Ignores a file without rows and counts it. @throws `error` unless bad rows are skipped. */
  skipEmptyFile(file: string, error: Error): void;
  /**
   * Returns the value of `body`. If it throws BAD_DATA and bad rows are skipped, counts the row and returns
   * null.
   */
  attempt<T>(body: () => T): T | null;
}

export function badRows(policy: BadRowPolicy): BadRows {
  const messages: string[] = [];
  const emptyFiles: string[] = [];
  let count = 0;
  return {
    messages,
    emptyFiles,
    get count() {
      return count;
    },
    skipEmptyFile(file, error) {
      if (policy !== 'skip') throw error;
      emptyFiles.push(file);
    },
    attempt(body) {
      try {
        return body();
      } catch (error) {
        if (policy !== 'skip' || !QdyloraError.isInstance(error) || error.code !== 'BAD_DATA') throw error;
        if (count++ < KEPT_MESSAGES) messages.push(error.message);
        return null;
      }
    },
  };
}
