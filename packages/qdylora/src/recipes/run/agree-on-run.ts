import { assertAgreement } from '@qdylora/collectives';
import { snakeCase } from '@qdylora/contract';
import type { KeyName } from '../../config/keys.ts';
import { VERSION } from '../../version.ts';
import { quantizationOf } from '../opening/open-source.ts';
import type { OpenedRun } from './opened-run.ts';
import type { RunSession } from './run-session.ts';
import { runIdentityOf } from './save-options.ts';
import { hashOfExamples } from './tokens-hash.ts';

/**
 * Keys that a resumed run may change, but not a worker alone: they decide when all workers evaluate together,
 * at which ranks, and when they stop.
 */
const SHARED_KEYS = [
  'evalSteps',
  'evalRanks',
  'earlyStopping',
  'earlyStoppingPatience',
  'earlyStoppingMinDelta',
] as const satisfies readonly KeyName[];

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
 * Checks that all workers have the same options, model, training rows and held-out rows, and kernels that
 * round alike. The version was checked when they opened the model (`agreeOnModel`).
 *
 * @throws QdyloraError COLLECTIVE_FAILED on all of them, with what differs
 */
export async function agreeOnRun(opened: OpenedRun, { workers }: RunSession): Promise<void> {
  if (!workers) return;
  const { config, data, chosen } = opened;
  const values: Record<string, unknown> = {
    ...runIdentityOf(opened),
    ...Object.fromEntries(SHARED_KEYS.map((name) => [snakeCase(name), config[name]])),
    start_from_adapter: config.adapter !== null, // its path may differ; such a run is evaluated at step 0
    held_out_rows_hash: hashOfExamples(data.heldOut),
  };
  await assertAgreement(workers, {
    kernels: chosen.label.split(',')[0],
    ...Object.fromEntries(Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)])),
  });
}
