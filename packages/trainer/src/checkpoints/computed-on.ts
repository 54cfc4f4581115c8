/** The kernels that computed the last steps of a run; other kernels round differently. */
export interface ComputedOn {
  readonly backend: string;
  readonly level: string | null;
}

/**
 * The warning for a run that resumes with kernels that round differently; null if they are the same, or if
 * the checkpoint does not name them.
 */
export function otherKernelsWarning(saved: ComputedOn | null, current: ComputedOn): string | null {
  if (!saved || (saved.backend === current.backend && saved.level === current.level)) return null;
  return (
    `The steps so far were computed by the kernels of ${nameOf(saved)}; this run continues with ` +
    `${nameOf(current)}, which round differently. The result is as good, but not bit for bit that of an ` +
    `uninterrupted run. For the same bits, resume with ${nameOf(saved)}.`
  );
}

const nameOf = ({ backend, level }: ComputedOn): string => (level === null ? backend : `${backend} ${level}`);
