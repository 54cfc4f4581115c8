import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { run, tinyRun } from '../../../test/tiny-run.ts';
import { readAdapter } from './read-adapter.ts';

const { folder, common } = tinyRun();
const adapter = join(folder.in('run'), 'adapter');

beforeAll(async () => {
  await run({ ...common, maxSteps: 1, outputDir: folder.in('run') });
});

it('an adapter whose weights were changed is refused, whatever else of its folder was', () => {
  const damaged = folder.in('damaged');
  cpSync(adapter, damaged, { recursive: true });
  const path = join(damaged, 'adapter_model.safetensors');
  const config = join(damaged, 'adapter_config.json');
  writeFileSync(config, `${readFileSync(config, 'utf8')}\n`);
  expect(readAdapter(damaged).state).toEqual(readAdapter(adapter).state);
  const weights = readFileSync(path);
  weights[weights.length - 1] ^= 1;
  writeFileSync(path, weights);
  expect(() => readAdapter(damaged)).toThrow(
    /has SHA-256 .*If you changed it yourself, delete manifest\.json/,
  );
  rmSync(join(damaged, 'manifest.json'));
  expect(readAdapter(damaged).state.maxRank).toBe(4);
});
