import { expect, it } from 'vitest';
import { run, tinyRun } from '../../test/tiny-run.ts';
import { writeTinyTokenizer } from '../../test/tiny-files.ts';
import { valuesOfFlags } from '../config/explicit-values.ts';
import { adapterSource } from './adapter-source.ts';
import { openServedModels } from './open-served-models.ts';

const { folder, model, common } = tinyRun();

it('an adapter of one rank of ours is served at that rank only', async () => {
  await run({ ...common, ranks: [4], maxSteps: 1, outputDir: folder.in('one') });
  writeTinyTokenizer(model);
  const flags = valuesOfFlags({ backend: 'host', quantization: 'none' });
  using served = await openServedModels([await adapterSource(folder.in('one'))], flags, () => {});
  expect(served.models.find('one').rank).toBe(4);
  expect(() => served.models.find('one:r2')).toThrow(/The adapter one has no rank 2/);
});
