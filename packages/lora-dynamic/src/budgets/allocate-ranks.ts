import { assertArgument, QdyloraError } from '@qdylora/contract';

/** Bytes of a row of A and one of B in float32, which PEFT saves. */
export const rowBytes = ({
  inFeatures,
  outFeatures,
}: {
  readonly inFeatures: number;
  readonly outFeatures: number;
}): number => 4 * (inFeatures + outFeatures);

/** What `allocateRanks` needs to know about a layer. */
export interface RankedLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Gain of each row, all in the same unit, non-increasing: [maxRank] */
  readonly gains: Float64Array;
}

/**
 * Chooses a rank for each layer, so that all adapters together take at most `budgetBytes`: row by row, always
 * the one that gains most per byte. The gains of a layer are non-increasing, so the choice is optimal for
 * these gains, up to the bytes of one row (a fractional knapsack). A layer may get rank 0: no adapter.
 *
 * @returns ranks by the name of the layer
 * @throws QdyloraError BAD_ARGUMENT for no layers, or for a budget below the smallest row
 */
export function allocateRanks(layers: readonly RankedLayer[], budgetBytes: number): Map<string, number> {
  assertArgument(
    layers.length > 0,
    'budget',
    'There must be at least one layer to share the budget (got none)',
    'Pass the layers of `gainsOfRows`.',
  );
  const smallest = Math.min(...layers.map(rowBytes));
  if (!(budgetBytes >= smallest))
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'budget',
      problem: `The budget is ${budgetBytes} bytes, but the smallest row of an adapter takes ${smallest}`,
      nextStep: 'Raise the budget.',
    });
  const rows = layers.flatMap((layer) =>
    [...layer.gains].map((gain, row) => ({ layer, row, gainPerByte: gain / rowBytes(layer) })),
  );
  rows.sort((left, right) => right.gainPerByte - left.gainPerByte || left.row - right.row);
  const ranks = new Map(layers.map(({ name }) => [name, 0]));
  let left = budgetBytes;
  for (const { layer, row, gainPerByte } of rows) {
    const fits = rowBytes(layer) <= left && ranks.get(layer.name) === row;
    if (!fits || gainPerByte <= 0) continue;
    ranks.set(layer.name, row + 1);
    left -= rowBytes(layer);
  }
  return ranks;
}
