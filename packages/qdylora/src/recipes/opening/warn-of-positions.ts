import type { CausalLm } from '@qdylora/models';
import type { Warn } from '../adapter/attach-adapter.ts';
import type { RunData } from '../run/load-data.ts';

type Config = CausalLm['config'];
interface PositionsConfig extends Pick<Config, 'maxPositions'> {
  readonly attention: readonly Pick<Config['attention'][number], 'rope'>[];
}
interface PositionedRows extends Pick<RunData, 'heldOut'> {
  readonly training: Pick<RunData['training'], 'length' | 'lengthAt'>;
}

/** Nobody has seen a row. */
export const NO_ROWS: PositionedRows = { training: { length: 0, lengthAt: null }, heldOut: [] };

/**
 * Rotary angles go on past the positions that a model was trained with, and the model makes little of them
 * there. Rows that nobody has measured may be as long as they are cut to.
 */
export function warnOfPositions(
  config: PositionsConfig,
  { training, heldOut }: PositionedRows,
  maxSeqLength: number,
  warn: Warn,
): void {
  const maxPositions = knownPositions(config);
  if (maxSeqLength <= maxPositions) return;
  const { length, lengthAt } = training;
  let longest = lengthAt ? heldOut.reduce((most, { ids }) => Math.max(most, ids.length), 0) : maxSeqLength;
  if (lengthAt) for (let i = 0; i < length; i++) longest = Math.max(longest, lengthAt(i));
  if (longest > maxPositions)
    warn(
      `${lengthAt ? 'Rows have' : 'Rows may have'} up to ${longest} tokens, and the model was trained with ` +
        `${maxPositions} positions (max_position_embeddings): lower max_seq_length, unless it is meant to ` +
        `learn longer ones.`,
    );
}

/** In every layer; scaled rotary angles reach further. */
const knownPositions = ({ maxPositions, attention }: PositionsConfig): number =>
  attention.reduce((least, { rope }) => Math.min(least, rope?.reach ?? maxPositions), Infinity);
