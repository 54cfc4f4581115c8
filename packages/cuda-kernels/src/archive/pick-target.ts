import { QdyloraError } from '@qdylora/contract';

/** A device's compute capability: 8.6 is `{ major: 8, minor: 6 }`. */
export interface ComputeCapability {
  readonly major: number;
  readonly minor: number;
}

/** `sm_86` or `compute_120`: the last digit is the minor number. */
function parseTarget(target: string): { readonly isPtx: boolean } & ComputeCapability {
  const [, kind, digits] = /^(sm|compute)_(\d+)$/.exec(target)!;
  return { isPtx: kind === 'compute', major: Math.floor(Number(digits) / 10), minor: Number(digits) % 10 };
}

const isAtMost = (a: ComputeCapability, b: ComputeCapability): boolean =>
  a.major < b.major || (a.major === b.major && a.minor <= b.minor);

/**
 * The best of the targets for a device: the newest cubin of its major architecture that is not newer than the
 * device, otherwise the newest PTX, which the driver compiles.
 *
 * @throws QdyloraError UNSUPPORTED where the device is older than every target
 */
export function pickTarget(targets: readonly string[], capability: ComputeCapability): string {
  const usable = targets
    .map((target) => ({ target, ...parseTarget(target) }))
    .filter((one) => isAtMost(one, capability) && (one.isPtx || one.major === capability.major))
    .sort((a, b) => Number(a.isPtx) - Number(b.isPtx) || (isAtMost(a, b) ? 1 : -1));
  if (usable.length === 0)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'cuda',
      problem:
        `there are no kernels for compute capability ${capability.major}.${capability.minor}; there are ` +
        `some for ${targets.join(', ')}`,
      nextStep: 'Use the cpu backend on this machine.',
      details: { capability, targets },
    });
  return usable[0].target;
}
