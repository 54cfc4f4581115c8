import type { CausalLm } from '@qdylora/models';

/** Tokens of the longest sequence that a model computes and was trained for. */
export const longestSequenceOf = ({ config }: Pick<CausalLm, 'config'>): number =>
  Math.min(config.maxPositions, config.positionLimit);
