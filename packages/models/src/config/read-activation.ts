import type { CheckpointConfig } from '@qdylora/checkpoint';
import type { ActivationKind } from '@qdylora/tensor';
import { refusedValue } from './refuse-value.ts';

/**
 * Activations by the names of transformers. `gelu_fast` is the tanh approximation with constants of ten
 * digits.
 */
const ACTIVATIONS: Readonly<Record<string, ActivationKind>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  relu: 'relu',
};

/**
 * Reads an activation.
 *
 * @throws QdyloraError UNSUPPORTED with the list of supported names
 */
export function readActivation(config: CheckpointConfig, key: string, otherwise: string): ActivationKind {
  const name = config.string(key, otherwise);
  if (!Object.hasOwn(ACTIVATIONS, name))
    throw refusedValue(config, key, `one of ${Object.keys(ACTIVATIONS).join(', ')}`, name);
  return ACTIVATIONS[name];
}
