import { createHash } from 'node:crypto';
import { QdyloraError } from '@qdylora/contract';
import { BYTES_OF_HASH, HASHES } from '../rows/row-hash.ts';
import { reasonsText, type RowCounts } from './keep-example.ts';

/** Number of hashes digested together: digesting each alone would take as long as reading its row. */
const HASHES_PER_DIGEST = 1024;

/**
 * Decides by hashes which rows are held out: those below a bound. Rows of equal values have equal hashes, so
 * they are always on the same side.
 * A fraction is the bound itself. It does not depend on other rows, so no row changes sides when a file
 * grows. For a count, the bound is the `count`-th smallest hash. It is exact (except for equal rows at the
 * bound), but new rows may move it.
 */
export interface HeldOutRule {
  /** Adds a row by its number and its hash. */
  add(row: number, hash: number): void;
  /**
   * True if a count may still choose a row of this hash, so that it must have a token to predict. False for a
   * fraction, whose choice does not depend on other rows.
   */
  isCandidate(hash: number): boolean;
  /** SHA-256 over the hashes of the added rows, in their order. */
  fingerprint(): string;
  /**
   * The numbers of the held-out rows, ascending. `reasons` for dropping other rows are for the message.
   * @throws QdyloraError BAD_CONFIG if no row, or every row, would be held out.
   */
  heldOut(reasons?: RowCounts['reasons']): number[];
}

/** @param heldOut a count of rows, or below 1 a fraction of them */
export function heldOutRule(heldOut: number): HeldOutRule {
  if (!Number.isFinite(heldOut) || heldOut < 0 || (heldOut >= 1 && !Number.isInteger(heldOut)))
    throw badShare(
      heldOut,
      'a whole number ≥ 0, or a fraction below 1',
      'Give a count of rows (200), a fraction (0.05), or 0 for none.',
    );
  const isFraction = heldOut < 1;
  const digest = createHash('sha256');
  const pendingHashes = Buffer.alloc(HASHES_PER_DIGEST * BYTES_OF_HASH);
  let rows = 0;
  let bound = isFraction ? heldOut : Infinity;
  let below: { row: number; hash: number }[] = [];
  let mostBelow = 2 * heldOut + 1024;
  const keepSmallest = (): void => {
    if (isFraction || below.length <= heldOut) return;
    below.sort((a, b) => a.hash - b.hash || a.row - b.row);
    bound = below[heldOut - 1].hash;
    below = below.filter(({ hash }) => hash <= bound);
    mostBelow = 2 * below.length + 1024; // equal rows at the bound all stay
  };
  const isCandidate = (hash: number): boolean => !isFraction && hash <= bound;
  return {
    isCandidate,
    add(row, hash) {
      pendingHashes.writeUIntBE(hash * HASHES, (rows++ % HASHES_PER_DIGEST) * BYTES_OF_HASH, BYTES_OF_HASH);
      if (rows % HASHES_PER_DIGEST === 0) digest.update(pendingHashes);
      if (!(isFraction ? hash < bound : isCandidate(hash))) return;
      below.push({ row, hash });
      if (below.length > mostBelow) keepSmallest();
    },
    fingerprint: () =>
      digest
        .copy()
        .update(pendingHashes.subarray(0, (rows % HASHES_PER_DIGEST) * BYTES_OF_HASH))
        .digest('hex'),
    heldOut(reasons = {}) {
      if (heldOut === 0) return [];
      keepSmallest();
      if (below.length >= rows && !isFraction && heldOut < rows) throw allAlike(heldOut, rows);
      if (below.length >= rows) throw noneLeft(heldOut, rows, reasons);
      if (below.length === 0)
        throw badShare(
          heldOut,
          `a share that a row of the ${rows} falls into (their hashes decide)`,
          'Raise val_set_size, give it as a count, or name an eval_dataset.',
        );
      return below.map(({ row }) => row).sort((a, b) => a - b);
    },
  };
}

const badShare = (heldOut: number, expected: string, nextStep: string): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: 'val_set_size',
    problem: `\`val_set_size\` must be ${expected} (got ${heldOut}).`,
    nextStep,
  });

const noneLeft = (heldOut: number, rows: number, reasons: RowCounts['reasons']): QdyloraError => {
  const why = reasonsText(reasons);
  const outcome =
    heldOut < 1
      ? `puts all of the ${rows} rows on the held-out side (their hashes decide)`
      : `is ${heldOut}, but only ${rows} rows are left`;
  return new QdyloraError('BAD_CONFIG', {
    where: 'val_set_size',
    problem: `\`val_set_size\` ${outcome}${why && `. Others were dropped: ${why}`}`,
    nextStep: why
      ? 'Keep more rows (raise max_seq_length, say), lower val_set_size, or name an eval_dataset.'
      : 'Lower val_set_size, or name an eval_dataset.',
    details: { rows, reasons: { ...reasons } },
  });
};

const allAlike = (heldOut: number, rows: number): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: 'val_set_size',
    problem:
      `No rows are left for training beside ${heldOut} held-out ones: too many of the ${rows} are equal, ` +
      `and equal rows are never on both sides`,
    nextStep: 'Remove rows that occur many times, or name an eval_dataset.',
    details: { rows },
  });
