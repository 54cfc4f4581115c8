import { QdyloraError, type Backend } from '@qdylora/contract';
import { canOffload, createInputOffload, type InputOffload } from '@qdylora/tensor';
import type { RunConfig } from '../../config/resolve-run.ts';

/**
 * Where the inputs of recomputed layers rest, as `activation_offload` asks; null: on the device.
 *
 * @throws QdyloraError BAD_CONFIG on a backend without memory beside its own
 */
export function offloadOf(
  { activationOffload }: Pick<RunConfig, 'activationOffload'>,
  backend: Backend,
): InputOffload | null {
  if (!activationOffload) return null;
  if (canOffload(backend)) return createInputOffload(backend);
  throw new QdyloraError('BAD_CONFIG', {
    where: 'activation_offload',
    problem:
      '`activation_offload` moves activations from a GPU to the memory of the system, but on the backend ' +
      `${backend.name} they are there already`,
    nextStep: 'Leave it out, or choose backend: cuda.',
    details: { backend: backend.name },
  });
}
