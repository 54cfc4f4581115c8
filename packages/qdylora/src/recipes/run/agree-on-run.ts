import { assertAgreement } from '@qdylora/collectives';
import { VERSION } from '../../version.ts';
import { quantizationOf } from '../opening/open-source.ts';
import type { OpenedRun } from './opened-run.ts';
import type { RunSession } from './run-session.ts';
import { runIdentityOf } from './save-options.ts';

/**
 * Checks that all workers have the same version and model, before each quantizes its part.
 *
 * @throws QdyloraError COLLECTIVE_FAILED on all of them, with what differs
 */
export async function agreeOnModel(
  model: Parameters<typeof quantizationOf>[0] & { readonly fingerprint: string },
  { workers }: Pick<RunSession, 'workers'>,
  version = VERSION,
): Promise<void> {
  if (!workers) return;
  await assertAgreement(workers, {
    version,
    model: model.fingerprint,
    quantization: JSON.stringify(quantizationOf(model)),
  });
}

/**
 * Checks that all workers have the same options, model and rows, and kernels that round alike. The version
 * was checked when they opened the model (`agreeOnModel`).
 *
 * @throws QdyloraError COLLECTIVE_FAILED on all of them, with what differs
 */
export async function agreeOnRun(opened: OpenedRun, { workers }: RunSession): Promise<void> {
  if (!workers) return;
  const identity = Object.entries(runIdentityOf(opened)).map(([key, value]) => [key, JSON.stringify(value)]);
  await assertAgreement(workers, {
    kernels: opened.chosen.label.split(',')[0],
    ...(Object.fromEntries(identity) as Record<string, string>),
  });
}
