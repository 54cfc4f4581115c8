import type { CausalLm } from '@qdylora/models';
import type { RunData } from '../run/load-data.ts';
import type { Warn } from '../hooks.ts';

type Config = CausalLm['config'];
interface PositionsConfig extends Pick<Config, 'maxPositions'> {
  readonly attention: readonly Pick<Config['attention'][number], 'rope'>[];
}
interface PositionedRows extends Pick<RunData, 'heldOut'> {
  readonly training: Pick<RunData['training'], 'length' | 'lengthAt'>;
}

/** No row was read. */
export const NO_ROWS: PositionedRows = { training: { length: 0, lengthAt: null }, heldOut: [] };

/**
 * Warns of rows that are longer than the positions that the model was trained with: rotary angles continue
 * beyond them, but the model has not learned to use them. Rows that were not measured may be as long as
 * `max_seq_length`.
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
      `${beyondText(lengthAt ? 'Rows have up to' : 'Rows may have up to', longest, maxPositions)}: lower ` +
        'max_seq_length, unless it is meant to learn longer ones.',
    );
}

/** Warns of a text beyond these positions that a model reads or writes, and what to do about it. */
export function warnOfLongText(
  config: PositionsConfig,
  { what, tokens, advice }: { readonly what: string; readonly tokens: number; readonly advice: string },
  warn: Warn,
): void {
  const maxPositions = knownPositions(config);
  if (tokens > maxPositions)
    warn(`${beyondText(what, tokens, maxPositions)}. What follows them is not reliable: ${advice}.`);
}

const beyondText = (what: string, tokens: number, maxPositions: number): string =>
  `${what} ${tokens} tokens, and the model was trained with ${maxPositions} positions ` +
  '(max_position_embeddings)';

/** The smallest reach of all layers; scaled rotary angles reach further. */
const knownPositions = ({ maxPositions, attention }: PositionsConfig): number =>
  attention.reduce((least, { rope }) => Math.min(least, rope?.reach ?? maxPositions), Infinity);
