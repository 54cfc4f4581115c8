import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { run, tinyRun } from '../../test/tiny-run.ts';
import { writeTinyTokenizer } from '../../test/tiny-files.ts';
import { valuesOfFlags } from '../config/explicit-values.ts';
import { exportAdapter } from '../recipes/export-adapter.ts';
import { adapterSource } from './adapter-source.ts';
import { openServedModels } from './open-served-models.ts';

const { folder, model, common } = tinyRun();

it('an adapter of one rank of ours is served at that rank only', async () => {
  await run({ ...common, ranks: [4], maxSteps: 1, outputDir: folder.in('one') });
  const flags = valuesOfFlags({ backend: 'host', quantization: 'none' });
  const sources = [await adapterSource(folder.in('one'))];
  await expect(openServedModels(sources, flags, () => {})).rejects.toThrow('The model has no tokenizer');
  writeTinyTokenizer(model);
  using served = await openServedModels(sources, flags, () => {});
  expect(served.models.find('one').rank).toBe(4);
  expect(() => served.models.find('one:r2')).toThrow(/The adapter one has no rank 2/);
});

it('an adapter of ours decides how the base is stored, also after one of another trainer', async () => {
  await run({ ...common, quantization: 'nf4', maxSteps: 1, outputDir: folder.in('nf4') });
  await exportAdapter({
    adapter: folder.in('nf4/adapter'),
    rank: 2,
    format: 'peft',
    outputDir: folder.in('peft'),
  });
  rmSync(folder.in('peft/qdylora.json'), { force: true });
  rmSync(folder.in('peft/manifest.json'), { force: true });
  writeTinyTokenizer(model);
  const sources = [await adapterSource(`other=${folder.in('peft')}`), await adapterSource(folder.in('nf4'))];
  const flags = valuesOfFlags({ backend: 'host', model });
  using served = await openServedModels(sources, flags, () => {});
  expect(served.config.quantization).toBe('nf4');
});

it('a server for other machines needs a key, which is said before anything is loaded', async () => {
  const flags = valuesOfFlags({ backend: 'host', host: '0.0.0.0', model: folder.in('missing') });
  const sources = [await adapterSource(folder.in('one'))];
  await expect(openServedModels(sources, flags, () => {})).rejects.toThrow('needs an API key');
});
