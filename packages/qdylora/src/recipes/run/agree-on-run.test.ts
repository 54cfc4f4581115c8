import { basename } from 'node:path';
import { MANIFEST_FILE, NODE_FILE_SYSTEM, type FileSystem } from '@qdylora/checkpoint';
import { localWorld, type Communicator } from '@qdylora/collectives';
import { describe, expect, it } from 'vitest';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import { finetune, openRun, type FinetuneOptions } from '../finetune.ts';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../../test/tiny-model.ts';
import { checkpointOf } from '../run-folder/output-folder.ts';
import { agreeOnModel, agreeOnRun } from './agree-on-run.ts';
import { prepareRun } from './prepare-run.ts';
import { openSession } from './run-session.ts';

const place = temporaryPlace();
const model = writeTinyModel(place.in('model'));
const dataset = writeTinyRows(place.in('rows.jsonl'));

/** Opens a run up to its first step, and compares it with that of the other worker. */
async function open(workers: Communicator, { fs, ...changes }: Partial<FinetuneOptions>): Promise<void> {
  const options = { model, dataset, outputDir: place.in('run'), ranks: [1, 2], maxSteps: 2, ...changes };
  const session = openSession({ backend: 'host', workers, fs });
  using opened = await openRun(prepareRun(valuesOfOptions(options)), session);
  await agreeOnRun(opened, session, checkpointOf(opened.config, fs));
}

/** The messages with which two workers refuse, the second of which has other options. */
async function refusals(
  changes: Partial<FinetuneOptions>,
  firstChanges: Partial<FinetuneOptions> = {},
): Promise<string[]> {
  const outcomes = await Promise.allSettled(
    localWorld(2).map((workers) => open(workers, workers.rank === 0 ? firstChanges : changes)),
  );
  return outcomes.map((outcome) => (outcome.status === 'rejected' ? String(outcome.reason) : ''));
}

describe('workers that differ', () => {
  it('agree where they do not', async () => {
    expect(await refusals({})).toEqual(['', '']);
  });

  it.each<[string, () => Partial<FinetuneOptions>]>([
    ['model', () => ({ model: writeTinyModel(place.in('other-model'), { seed: 6 }) })],
    ['quantization', () => ({ quantization: 'fp4' })],
    ['learning_rate', () => ({ learningRate: 0.5 })],
    ['val_set_size', () => ({ valSetSize: 3 })],
    ['eval_steps', () => ({ evalSteps: 1 })],
    ['eval_ranks', () => ({ evalRanks: [1] })],
    ['early_stopping', () => ({ earlyStopping: 2 })],
    ['early_stopping_patience', () => ({ earlyStoppingPatience: 9 })],
    ['early_stopping_min_delta', () => ({ earlyStoppingMinDelta: 0.5 })],
  ])('are refused on both at the start: %s', async (name, changes) => {
    const evaluated = { valSetSize: 2, evalSteps: 2, earlyStopping: 1 };
    for (const refusal of await refusals({ ...evaluated, ...changes() }, evaluated))
      expect(refusal).toMatch(new RegExp(`\\[worker 1 of 2\\] The ${name}.* is .*, but that of worker 0 is`));
  });

  it('are refused where one has rows of other contents', async () => {
    const other = writeTinyRows(place.in('other-rows.jsonl'), 1);
    for (const refusal of await refusals({ dataset: other }))
      expect(refusal).toContain('[worker 1 of 2] The training_rows of this worker is');
  });

  it('are refused where held-out rows differ, and not where only their file does', async () => {
    const rowsOf = (name: string, seed: number) => writeTinyRows(place.in(name), seed);
    const [rows, same, other] = [rowsOf('a.jsonl', 2), rowsOf('b.jsonl', 2), rowsOf('c.jsonl', 3)];
    expect(await refusals({ evalDataset: same }, { evalDataset: rows })).toEqual(['', '']);
    for (const refusal of await refusals({ evalDataset: other }, { evalDataset: rows }))
      expect(refusal).toContain('[worker 1 of 2] The held_out_rows_hash of this worker is');
  });

  /** Trains for two steps. Returns its adapter and its checkpoint. */
  async function train(name: string, changes: Partial<FinetuneOptions> = {}) {
    const outputDir = place.in(name);
    const options = { model, dataset, outputDir, ranks: [1, 2], maxSteps: 2, ...changes };
    await finetune({ ...options, backend: 'host' }).result;
    return { outputDir, adapter: `${outputDir}/adapter`, checkpoint: `${outputDir}/checkpoints/step-2` };
  }

  it('are refused where one starts from other weights or another state, and not from copies', async () => {
    const [first, same, other] = [
      await train('first'),
      await train('same'),
      await train('other', { seed: 1 }),
    ];
    const start = { adapter: first.adapter, optimizerState: first.checkpoint };
    const copy = { adapter: same.adapter, optimizerState: same.checkpoint };
    expect(await refusals(copy, start)).toEqual(['', '']);
    for (const refusal of await refusals({ ...start, adapter: other.adapter }, start))
      expect(refusal).toContain('[worker 1 of 2] The adapter_hash of this worker is');
    for (const optimizerState of [other.checkpoint, null])
      for (const refusal of await refusals({ ...start, optimizerState }, start))
        expect(refusal).toContain('[worker 1 of 2] The optimizer_state_hash of this worker is');
  });

  it('are refused where one has another checkpoint under the path from which the first resumes', async () => {
    const { outputDir } = await train('resumed');
    const resumed = { outputDir, resumeFromCheckpoint: 'auto' };
    const here = { outputDir: place.in('of worker 1'), resumeFromCheckpoint: 'auto' };
    expect(await refusals(here, resumed)).toEqual(['', '']);
    const readFileSync = ((path: string) =>
      basename(path) === MANIFEST_FILE
        ? Buffer.from('{}')
        : NODE_FILE_SYSTEM.readFileSync(path)) as FileSystem['readFileSync'];
    const fs = { ...NODE_FILE_SYSTEM, readFileSync };
    for (const refusal of await refusals({ ...here, fs }, resumed))
      expect(refusal).toContain('[worker 1 of 2] The checkpoint_hash of this worker is');
  });

  it('are refused where one has another version', async () => {
    const options = valuesOfOptions({ model, dataset, outputDir: place.in('run') });
    const values = { ...prepareRun(options), fingerprint: 'a' };
    const outcomes = await Promise.allSettled(
      localWorld(2).map((workers) => agreeOnModel(values, { workers }, `0.${workers.rank}.0`)),
    );
    for (const outcome of outcomes)
      expect(String((outcome as PromiseRejectedResult).reason)).toContain(
        '[worker 1 of 2] The version of this worker is 0.1.0, but that of worker 0 is 0.0.0.',
      );
  });
});
