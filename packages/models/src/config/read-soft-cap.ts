import type { CheckpointConfig } from '@qdylora/checkpoint';

/**
 * Reads a soft cap: 0 if it is null, `otherwise` if the key is missing.
 *
 * @throws QdyloraError BAD_CONFIG unless it is null or a number > 0
 */
export function readSoftCap(config: CheckpointConfig, key: string, otherwise: number): number {
  if (!Object.hasOwn(config.raw, key)) return otherwise;
  if (!config.has(key)) return 0;
  const cap = config.number(key);
  if (!(cap > 0)) throw config.wrong('null or a number > 0', key);
  return cap;
}
