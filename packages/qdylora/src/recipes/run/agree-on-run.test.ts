import { localWorld, type Communicator } from '@qdylora/collectives';
import { describe, expect, it } from 'vitest';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import { openRun, type FinetuneOptions } from '../finetune.ts';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../../test/tiny-model.ts';
import { agreeOnModel, agreeOnRun } from './agree-on-run.ts';
import { prepareRun } from './prepare-run.ts';
import { openSession } from './run-session.ts';

const place = temporaryPlace();
const model = writeTinyModel(place.in('model'));
const dataset = writeTinyRows(place.in('rows.jsonl'));

/** Opens a run up to its first step, and compares it with that of the other worker. */
async function open(workers: Communicator, changes: Partial<FinetuneOptions>): Promise<void> {
  const options = { model, dataset, outputDir: place.in('run'), ranks: [1, 2], maxSteps: 2, ...changes };
  const session = openSession({ backend: 'host', workers });
  using opened = await openRun(prepareRun(valuesOfOptions(options)), session);
  await agreeOnRun(opened, session);
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
      expect(refusal).toMatch(new RegExp(`\\[worker 1 of 2\\] Its ${name}.* is .*, but that of worker 0 is`));
  });

  it('are refused where one has rows of other contents', async () => {
    const other = writeTinyRows(place.in('other-rows.jsonl'), 1);
    for (const refusal of await refusals({ dataset: other }))
      expect(refusal).toContain('[worker 1 of 2] Its');
  });

  it('are refused where held-out rows differ, and not where only their file does', async () => {
    const rowsOf = (name: string, seed: number) => writeTinyRows(place.in(name), seed);
    const [rows, same, other] = [rowsOf('a.jsonl', 2), rowsOf('b.jsonl', 2), rowsOf('c.jsonl', 3)];
    expect(await refusals({ evalDataset: same }, { evalDataset: rows })).toEqual(['', '']);
    for (const refusal of await refusals({ evalDataset: other }, { evalDataset: rows }))
      expect(refusal).toContain('[worker 1 of 2] Its held_out_rows_hash is');
  });

  it('are refused where one has another version', async () => {
    const options = valuesOfOptions({ model, dataset, outputDir: place.in('run') });
    const values = { ...prepareRun(options), fingerprint: 'a' };
    const outcomes = await Promise.allSettled(
      localWorld(2).map((workers) => agreeOnModel(values, { workers }, `0.${workers.rank}.0`)),
    );
    for (const outcome of outcomes)
      expect(String((outcome as PromiseRejectedResult).reason)).toContain(
        '[worker 1 of 2] Its version is 0.1.0, but that of worker 0 is 0.0.0.',
      );
  });
});
