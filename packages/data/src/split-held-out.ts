import { createHash } from 'node:crypto';
import { QdyloraError } from '@qdylora/contract';
import { BYTES_OF_HASH, HASHES } from './rows/row-hash.ts';

/**
 * Hashes that are gathered before they are digested: each by itself would take as long as reading its row.
 */
const WAITING = 1024;

/**
 * Decides by hashes which rows are held out: those below a bound. Rows of equal content have equal hashes, so
 * they are never on both sides.
 * A fraction is the bound itself: it does not depend on the other rows, so nothing changes sides when a file
 * grows. A count is reached by moving the bound up to the `count`-th smallest hash: it is exact (but for
 * equal rows at the bound), and other rows may move it.
 */
export interface HeldOutRule {
  /** Tells of a row: its number and its hash. */
  add(row: number, hash: number): void;
  /**
   * SHA-256 over the hashes of all rows, in their order: other rows, or the same in another order, have
   * another one.
   */
  fingerprint(): string;
  /**
   * Numbers of the rows that are held out, rising. @throws QdyloraError BAD_CONFIG where that is none of
   * them, or all.
   */
  heldOut(): number[];
}

export function heldOutRule(share: number): HeldOutRule {
  if (!Number.isFinite(share) || share < 0 || (share >= 1 && !Number.isInteger(share)))
    throw badShare(
      share,
      'a whole number, or a fraction below 1',
      'Lower val_set_size, or name an eval_dataset.',
    );
  const isFraction = share < 1;
  const digest = createHash('sha256');
  const waiting = Buffer.alloc(WAITING * BYTES_OF_HASH);
  let rows = 0;
  let bound = isFraction ? share : Infinity;
  let below: { row: number; hash: number }[] = [];
  const keepSmallest = (): void => {
    if (isFraction || below.length <= share) return;
    below.sort((a, b) => a.hash - b.hash || a.row - b.row);
    bound = below[share - 1].hash;
    below = below.filter(({ hash }) => hash <= bound);
  };
  return {
    add(row, hash) {
      waiting.writeUIntBE(hash * HASHES, (rows++ % WAITING) * BYTES_OF_HASH, BYTES_OF_HASH);
      if (rows % WAITING === 0) digest.update(waiting);
      if (share === 0 || !(isFraction ? hash < bound : hash <= bound)) return;
      below.push({ row, hash });
      if (below.length > 2 * share + 1024) keepSmallest();
    },
    fingerprint: () =>
      digest
        .copy()
        .update(waiting.subarray(0, (rows % WAITING) * BYTES_OF_HASH))
        .digest('hex'),
    heldOut() {
      if (share === 0) return [];
      keepSmallest();
      if (below.length >= rows && !isFraction && share < rows) throw allAlike(share, rows);
      if (below.length >= rows)
        throw badShare(
          share,
          `less than all of the ${rows} rows there are`,
          'Lower val_set_size, or name an eval_dataset.',
        );
      if (below.length === 0)
        throw badShare(
          share,
          `a share that a row of the ${rows} falls into (their hashes decide)`,
          'Raise val_set_size, give it as a count, or name an eval_dataset.',
        );
      return below.map(({ row }) => row).sort((a, b) => a - b);
    },
  };
}

const badShare = (share: number, expected: string, nextStep: string): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: 'val_set_size',
    problem: `\`val_set_size\` must be ${expected} (got ${share}).`,
    nextStep,
  });

const allAlike = (share: number, rows: number): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: 'val_set_size',
    problem:
      `No rows are left for training beside ${share} held-out ones: too many of the ${rows} are equal, ` +
      `and equal rows are never on both sides`,
    nextStep: 'Remove rows that occur many times, or name an eval_dataset.',
    details: { rows },
  });
