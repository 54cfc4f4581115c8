import { countCopies, type Example } from '@qdylora/data';
import type { Warn } from '../hooks.ts';

/** Warns of rows that occur several times: `perplexity` counts each once in standard errors. */
export function warnOfCopies(rows: readonly Example[], what: string, warn: Warn): void {
  const distinct = countCopies(rows).filter((copies) => copies > 0).length;
  if (distinct < rows.length)
    warn(
      `${rows.length} ${what}, ${distinct} of them distinct: a row that occurs several times counts once ` +
        'in standard errors and comparisons.',
    );
}
