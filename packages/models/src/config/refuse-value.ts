import type { CheckpointConfig } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';

/** The error for a config value that changes the forward pass and is not implemented. */
export const refusedValue = (
  config: CheckpointConfig,
  key: string,
  requirement: string,
  got: unknown,
): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: config.path,
    problem: `${key} of a ${config.modelType} model must be ${requirement} (got ${JSON.stringify(got)})`,
    nextStep: 'Use a model with one of these values.',
    details: { key, got },
  });

/**
 * Refuses every value of `key` except the listed ones. A key that is missing or null passes.
 *
 * @throws QdyloraError UNSUPPORTED
 */
export function acceptOnly(
  config: CheckpointConfig,
  key: string,
  accepted: readonly (string | number | boolean)[],
): void {
  const got = config.raw[key];
  if (config.has(key) && !accepted.includes(got as never))
    throw refusedValue(config, key, accepted.map((value) => JSON.stringify(value)).join(' or '), got);
}
