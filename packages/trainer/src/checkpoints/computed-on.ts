import type { RunWarning } from '../run/train-events.ts';
import type { SumOrder } from '../sharing/sum-order.ts';

/** What computed the last steps of a run: other kernels and other orders of sums round differently. */
export interface ComputedOn {
  readonly backend: string;
  readonly level: string | null;
  /** null in checkpoints of versions that did not record it. */
  readonly sums: SumOrder | null;
}

/** The warnings for a run that resumes a checkpoint: how its later steps round differently. */
export function computedOnWarnings(saved: ComputedOn | null, current: ComputedOn): RunWarning[] {
  const kernels = otherKernelsWarning(saved, current);
  const sums = otherSumsWarning(saved, current);
  return [
    ...(kernels ? [{ code: 'OTHER_KERNELS', message: kernels } as const] : []),
    ...(sums ? [{ code: 'OTHER_SUMS', message: sums } as const] : []),
  ];
}

/**
 * The warning for a run that resumes with kernels that round differently; null if they are the same, or if
 * the checkpoint does not name them.
 */
function otherKernelsWarning(saved: ComputedOn | null, current: ComputedOn): string | null {
  if (!saved || (saved.backend === current.backend && saved.level === current.level)) return null;
  return (
    `The steps so far were computed by the kernels of ${nameOf(saved)}; this run continues with ` +
    `${nameOf(current)}, which round differently. The result is as good, but not bit for bit that of an ` +
    `uninterrupted run. For the same bits, resume with ${nameOf(saved)}.`
  );
}

/**
 * The warning for a run that resumes with gradients added in another order; null if it is the same, or if
 * the checkpoint does not name it.
 */
export function otherSumsWarning(saved: ComputedOn | null, current: ComputedOn): string | null {
  if (!saved?.sums || !current.sums) return null;
  if (saved.sums.method === current.sums.method && saved.sums.workers === current.sums.workers) return null;
  return (
    `The steps so far added gradients ${orderOf(saved.sums)}; this run adds them ${orderOf(current.sums)}, ` +
    `which rounds differently. The result is as good, but its last bits may not be those of an ` +
    `uninterrupted run. For the same bits, resume ${placeOf(saved.sums)}.`
  );
}

const nameOf = ({ backend, level }: ComputedOn): string => (level === null ? backend : `${backend} ${level}`);

function orderOf({ method, workers }: SumOrder): string {
  if (workers !== null)
    return `${method === 'library' ? "in the library's order" : `as ${method}`} on ${workers} workers`;
  return method === 'one' ? 'one after the other' : 'in the order of any number of workers';
}

/** How to start a run that adds gradients in this order. */
function placeOf({ method, workers }: SumOrder): string {
  if (workers !== null) return `on ${workers} workers (launch -n ${workers})`;
  return method === 'one'
    ? 'without a launcher (in a program: `gradientSum: librarySum`, without `workers`)'
    : 'with launch, on any number of workers, also one: launch -n 1 (in a program: without `gradientSum`)';
}
