import { existsSync, readdirSync } from 'node:fs';
import { localWorld } from '@qdylora/collectives';
import { afterEach, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../../test/tiny-model.ts';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import { finetune } from '../finetune.ts';
import { assistRun } from './assist-run.ts';
import { prepareRun } from './prepare-run.ts';

const place = temporaryPlace();
const { TMPDIR } = process.env;

afterEach(() => {
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
});

it('needs no folder and writes no file: the first worker has them all', async () => {
  const model = writeTinyModel(place.in('model'));
  const dataset = writeTinyRows(place.in('rows.jsonl'));
  const options = {
    model,
    dataset,
    backend: 'host',
    loraR: 2,
    maxSteps: 2,
    valSetSize: 2,
    gradientAccumulationSteps: 2,
    reportTo: ['tensorboard'],
    profile: true,
    saveSteps: 1,
  } as const;
  process.env.TMPDIR = place.in('nowhere');
  const [first, second] = localWorld(2);
  const outputDir = place.in('run');
  await Promise.all([
    finetune({ ...options, outputDir, workers: first }).result,
    assistRun(prepareRun(valuesOfOptions({ ...options, outputDir: place.in('elsewhere') })), {
      workers: second,
    }),
  ]);
  expect(readdirSync(place.path).sort()).toEqual(['model', 'rows.jsonl', 'run']);
  for (const name of ['run.yaml', 'events.jsonl', 'profile.json', 'tensorboard', 'checkpoints'])
    expect([name, existsSync(`${outputDir}/${name}`)]).toEqual([name, true]);
  expect(readdirSync(`${outputDir}/tensorboard`)).toHaveLength(1);
});

it('a run that began without a launcher and continues with one says that its last bits change', async () => {
  const model = writeTinyModel(place.in('other-model'));
  const dataset = writeTinyRows(place.in('other-rows.jsonl'));
  const outputDir = place.in('other-run');
  const options = { model, dataset, outputDir, backend: 'host', loraR: 2, numThreads: 1 } as const;
  await finetune({ ...options, maxSteps: 1 }).result;
  const more = { ...options, maxSteps: 2, resumeFromCheckpoint: 'auto' };
  const [workers] = localWorld(1);
  const { report } = await finetune({ ...more, workers }).result;
  expect(report.notes).toContainEqual(expect.stringMatching(/For the same bits, resume without a launcher/));
});
