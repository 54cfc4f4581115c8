import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { temporaryPlace } from '../../test/tiny-model.ts';
import { adapterSource } from './adapter-source.ts';

it('an adapter beside that of a run has its base, and no rank from its report', async () => {
  const run = temporaryPlace();
  writeFileSync(run.in('run.yaml'), 'model: models/smol\n');
  writeFileSync(run.in('report.json'), '{"smallest_good_rank": 2}');
  for (const name of ['adapter', 'small']) {
    mkdirSync(run.in(name));
    writeFileSync(run.in(`${name}/adapter_config.json`), '{}');
  }
  const ofRun = { model: 'models/smol', recommendedRank: 2 };
  expect(await adapterSource(`a=${run.path}`)).toMatchObject(ofRun);
  expect(await adapterSource(`a=${run.in('adapter')}/`)).toMatchObject(ofRun);
  expect(await adapterSource(`a=${run.in('small')}`)).toMatchObject({ ...ofRun, recommendedRank: null });
});
