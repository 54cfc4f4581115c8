import { QdyloraError } from '@qdylora/contract';

/** Rows of a pass at a rank of their own: those from the end of the part before up to `until`. */
export interface RankPart {
  readonly until: number;
  /** Rows of A and B in use. */
  readonly rank: number;
  /** First row of A and B that these rows give a gradient to. */
  readonly trainFrom: number;
  /** What `scale` is multiplied by. */
  readonly factor: number;
  /**
   * What the gradients that these rows give to A and B are multiplied by; 1 by default. That of x is not:
   * other layers weigh for themselves.
   */
  readonly weight?: number;
}

/**
 * @throws QdyloraError BAD_ARGUMENT where parts do not cover `tokens` rows in order, or a rank lies past `r`,
 * the rows that the adapters have.
 */
export function assertParts(
  where: string,
  parts: readonly RankPart[] | undefined,
  tokens: number,
  r: number,
): void {
  if (!parts) return;
  const shown = parts
    .map(({ until, rank, trainFrom }) => `${trainFrom}…${rank} up to row ${until}`)
    .join(', ');
  const isWhole = (value: number, least: number, most: number): boolean =>
    Number.isInteger(value) && value >= least && value <= most;
  const fit = parts.every(
    ({ until, rank, trainFrom }, i) =>
      isWhole(until, parts[i - 1]?.until ?? 0, tokens) && isWhole(rank, 0, r) && isWhole(trainFrom, 0, rank),
  );
  if (!fit || parts.at(-1)?.until !== tokens)
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem:
        `the ends of the parts must rise to ${tokens} rows, and their ranks be within 0…${r} ` +
        `(got ${shown || 'none'})`,
      details: { tokens, r },
    });
}

/** What holds for row `t`: the whole adapter where there are no parts. */
export const partAt = (
  parts: readonly RankPart[] | undefined,
  t: number,
  whole: Omit<RankPart, 'until' | 'factor'>,
): Omit<RankPart, 'until'> => parts?.find(({ until }) => t < until) ?? { ...whole, factor: 1 };
