import { localWorld } from '@qdylora/collectives';
import { afterEach, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../../test/tiny-model.ts';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import { assistRun } from './assist-run.ts';
import { prepareRun } from './prepare-run.ts';

const place = temporaryPlace();
const { TMPDIR } = process.env;

afterEach(() => {
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
});

it('names TMPDIR where a worker cannot write temporary files', async () => {
  const model = writeTinyModel(place.in('model'));
  const dataset = writeTinyRows(place.in('rows.jsonl'));
  const run = prepareRun(valuesOfOptions({ model, dataset, outputDir: place.in('run') }));
  process.env.TMPDIR = place.in('nowhere');
  await expect(assistRun(run, { workers: localWorld(2)[1] })).rejects.toThrow(
    /^\[TMPDIR\] Temporary files cannot be written to .*nowhere: .* Set TMPDIR to a folder/,
  );
});
