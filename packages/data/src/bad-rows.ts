import { QdyloraError } from '@qdylora/contract';

/** What happens at a row that cannot be used. */
export const BAD_ROW_POLICIES = ['error', 'skip'] as const;
export type BadRowPolicy = (typeof BAD_ROW_POLICIES)[number];

/** Messages kept, so that a report can say what was wrong. */
const KEPT_MESSAGES = 5;

export interface BadRows {
  readonly count: number;
  /** The first few, each naming file and line. */
  readonly messages: readonly string[];
  /** Files without a row that were passed over. */
  readonly emptyFiles: readonly string[];
  /** Passes over a file without a row.  @throws `error` unless bad rows are skipped */
  passEmpty(file: string, error: Error): void;
  /** The value of `body`; null where it throws BAD_DATA and bad rows are skipped: then the row is counted. */
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
    passEmpty(file, error) {
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
