import { assertAgreement } from '@qdylora/collectives';
import { VERSION } from '../../version.ts';
import type { OpenedRun } from './opened-run.ts';
import type { RunSession } from './run-session.ts';
import { runIdentityOf } from './save-options.ts';

/**
 * Checks that all workers have the same version, options, model and rows, and kernels that round alike.
 *
 * @throws QdyloraError COLLECTIVE_FAILED on all of them, with what differs
 */
export async function agreeOnRun(opened: OpenedRun, { workers }: RunSession): Promise<void> {
  if (!workers) return;
  const identity = Object.entries(runIdentityOf(opened)).map(([key, value]) => [key, JSON.stringify(value)]);
  await assertAgreement(workers, {
    version: VERSION,
    kernels: opened.chosen.label.split(',')[0],
    ...(Object.fromEntries(identity) as Record<string, string>),
  });
}
