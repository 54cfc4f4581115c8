import { QdyloraError, withParts } from '@qdylora/contract';

/** A refusal of weights that are not finite, with the name of the weight; other errors as they are. */
export const withWeightName = (error: unknown, name: string): unknown =>
  QdyloraError.isInstance(error) && error.code === 'NON_FINITE' ? withParts(error, { where: name }) : error;
