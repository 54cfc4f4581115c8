import { badArgument, isSize, QdyloraError } from '@qdylora/contract';
import type { ActivePart } from '@qdylora/tensor';

/** A part of a pass as the ops of an adapted layer get it: with the layer's factor at its rank. */
export interface RankPart extends ActivePart {
  /** Multiplies `scale`. */
  readonly factor: number;
}

/**
 * @throws QdyloraError BAD_ARGUMENT if the parts do not cover all `tokens` in order, or a rank is above `r`,
 * the number of adapter rows
 */
export function assertParts(
  where: string,
  parts: readonly RankPart[] | undefined,
  tokens: number,
  r: number,
): void {
  if (!parts) return;
  const shown = parts
    .map(({ until, rank, trainFrom }) => `${trainFrom}…${rank} up to token ${until}`)
    .join(', ');
  const isWhole = (value: number, least: number, most: number): boolean =>
    Number.isInteger(value) && value >= least && value <= most;
  const areValid = parts.every(
    ({ until, rank, trainFrom }, i) =>
      isWhole(until, parts[i - 1]?.until ?? 0, tokens) && isWhole(rank, 0, r) && isWhole(trainFrom, 0, rank),
  );
  if (!areValid || parts.at(-1)?.until !== tokens)
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem:
        `the ends of the parts must increase to ${tokens} tokens, and their ranks be within 0…${r} ` +
        `(got ${shown || 'none'})`,
      details: { tokens, r },
    });
}

/** @throws QdyloraError BAD_ARGUMENT unless `trainFrom` is a whole number ≥ 0 */
export function assertTrainFrom(where: string, trainFrom: number): void {
  if (!isSize(trainFrom)) throw badArgument(where, `trainFrom must be a whole number ≥ 0 (got ${trainFrom})`);
}

/** The part that contains token `t`; the whole adapter if there are no parts. */
export const partAt = (
  parts: readonly RankPart[] | undefined,
  t: number,
  whole: Omit<RankPart, 'until' | 'factor'>,
): Omit<RankPart, 'until'> => parts?.find(({ until }) => t < until) ?? { ...whole, factor: 1 };
