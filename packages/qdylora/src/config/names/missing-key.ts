import { QdyloraError } from '@qdylora/contract';

/** The error for a key that must have a value. */
export const missingKey = (name: string, nextStep: string): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: name,
    problem: `\`${name}\` has no value`,
    nextStep,
    details: { key: name },
  });
