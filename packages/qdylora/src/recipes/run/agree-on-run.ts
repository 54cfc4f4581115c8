import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { MANIFEST_FILE, NODE_FILE_SYSTEM, type FileSystem } from '@qdylora/checkpoint';
import { assertAgreement, broadcastText } from '@qdylora/collectives';
import { snakeCase } from '@qdylora/contract';
import type { Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
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
 * Checks that all workers have the same options, model, training rows, held-out rows and start, and kernels
 * that round alike. The version was checked when they opened the model (`agreeOnModel`).
 *
 * @param checkpoint from which this worker would resume; that of the first worker counts
 * @throws QdyloraError COLLECTIVE_FAILED on all of them, with what differs
 */
export async function agreeOnRun(
  opened: OpenedRun,
  { workers, fs }: RunSession,
  checkpoint: string | null,
): Promise<void> {
  if (!workers) return;
  const { config, data, chosen } = opened;
  const values: Record<string, unknown> = {
    ...runIdentityOf(opened),
    ...Object.fromEntries(SHARED_KEYS.map((name) => [snakeCase(name), config[name]])),
    start_from_adapter: config.adapter !== null, // its path may differ; such a run is evaluated at step 0
    held_out_rows_hash: hashOfExamples(data.heldOut),
    ...(await hashesOfStart(opened, await broadcastText(workers, checkpoint), fs)),
  };
  await assertAgreement(workers, {
    kernels: chosen.label.split(',')[0],
    ...Object.fromEntries(Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)])),
  });
}

/**
 * Hashes of the weights and states that a run starts from: hosts may have other files under the same path.
 * They are those of the checkpoint that the first worker resumes from, or else of the adapter as it was
 * attached and of the optimizer state of another run.
 */
async function hashesOfStart(
  { config, run }: OpenedRun,
  checkpoint: string | null,
  fs: FileSystem = NODE_FILE_SYSTEM,
): Promise<Record<string, string | null>> {
  if (checkpoint !== null) return { checkpoint_hash: hashOfCheckpoint(checkpoint, fs) };
  return {
    adapter_hash: run.adapted && (await hashOfAdapter(run.adapted)),
    optimizer_state_hash: config.optimizerState === null ? null : hashOfCheckpoint(config.optimizerState, fs),
  };
}

/**
 * SHA-256 of the manifest, which has the hash of each file: the trainer checks them when it reads the folder.
 * Null without a manifest.
 */
function hashOfCheckpoint(folder: string, fs: FileSystem): string | null {
  const manifest = join(folder, MANIFEST_FILE);
  return fs.existsSync(manifest)
    ? createHash('sha256').update(fs.readFileSync(manifest)).digest('hex')
    : null;
}

/** SHA-256 of all parameters: 0.3 s for 100 MB (2 cores of a cloud machine, December 2026). */
async function hashOfAdapter(adapted: Adapted<CausalLm>): Promise<string> {
  const hash = createHash('sha256');
  for (const { view } of adapted.parameters()) hash.update(await adapted.model.backend.memory.read(view));
  return hash.digest('hex');
}
