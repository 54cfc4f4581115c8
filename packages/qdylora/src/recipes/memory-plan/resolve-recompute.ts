import { QdyloraError } from '@qdylora/contract';
import type { Recompute } from '@qdylora/tensor';
import { byteSizeText, readByteSize } from '../../config/values/byte-size.ts';
import type { RunConfig } from '../../config/resolve-run.ts';

/**
 * Resolves `gradient_checkpointing` into the layers to recompute. For a size: as few of the first layers as
 * let the whole run fit; `needOf` runs the step on a dry backend.
 *
 * @throws QdyloraError BAD_CONFIG where the run does not fit even if all layers are recomputed; UNSUPPORTED
 * for a size on a backend that cannot be forecast (`needOf` null)
 */
export async function resolveRecompute(
  gradientCheckpointing: RunConfig['gradientCheckpointing'],
  layers: number,
  needOf: ((recompute: Recompute) => Promise<number>) | null,
): Promise<Recompute> {
  if (typeof gradientCheckpointing === 'boolean') return gradientCheckpointing;
  if (typeof gradientCheckpointing === 'number') return { every: gradientCheckpointing };
  if (!needOf)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'gradient_checkpointing',
      problem:
        'On your own backend, `gradient_checkpointing` must be true, false or a number of ' +
        `layers (got ${gradientCheckpointing}).`,
      nextStep: 'A size needs a memory forecast, which exists only for built-in backends.',
    });
  const bytes = readByteSize(gradientCheckpointing)!;
  const least = await needOf({ first: layers });
  if (least > bytes) {
    throw new QdyloraError('BAD_CONFIG', {
      where: 'gradient_checkpointing',
      problem:
        `The run needs at least ${byteSizeText(least)} even if every layer is recomputed, more ` +
        `than ${gradientCheckpointing}.`,
      nextStep: 'npx qdylora plan --memory says what else to change.',
      details: { leastBytes: least, bytes },
    });
  }
  let [fits, tooFew] = [layers, -1];
  while (fits - tooFew > 1) {
    const middle = Math.floor((fits + tooFew) / 2);
    if ((await needOf({ first: middle })) <= bytes) fits = middle;
    else tooFew = middle;
  }
  return { first: fits };
}

/** `the first 12 of 30 layers recomputed in the backward pass`. */
export function recomputeText(recompute: Recompute, layers: number): string {
  if (typeof recompute === 'boolean')
    return recompute ? 'layers recomputed in the backward pass' : 'no layer recomputed';
  return 'every' in recompute
    ? `layers recomputed in the backward pass, ${recompute.every} at a time`
    : `the first ${recompute.first} of ${layers} layers recomputed in the backward pass`;
}
