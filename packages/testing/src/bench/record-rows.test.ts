import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { temporaryFolder } from '../files/temporary-folder.ts';
import { recordRows } from './record-rows.ts';

test('rows of one command make one table, and other tables of the machine stay', ({ onTestFinished }) => {
  onTestFinished(() => void vi.unstubAllEnvs());
  const folder = temporaryFolder();
  const text = (): string => readFileSync(join(folder, readdirSync(folder)[0]), 'utf8');
  recordRows([{ case: 'not recorded' }], folder);
  vi.stubEnv('QDYLORA_BENCH_RECORD', 'npm run bench b');
  recordRows([{ case: 'x', ms: 1.23456 }], folder);
  recordRows([{ case: 'y', peer: '2.0×' }], folder);
  const first = text();
  expect(first).not.toContain('not recorded');
  expect(first).toContain('| case | ms | peer |\n| --- | ---: | --- |\n| x | 1.235 |  |\n| y |  | 2.0× |');
  vi.stubEnv('QDYLORA_BENCH_RECORD', 'npm run bench a');
  recordRows([{ case: 'z' }], folder);
  expect([...text().matchAll(/^## (.+)$/gm)].map(([, title]) => title)).toEqual([
    'npm run bench a',
    'npm run bench b',
  ]);
});
