import { readdirSync, readFileSync } from 'node:fs';
import { generatedPage } from './markdown.ts';

const folder = new URL('../../bench/results/', import.meta.url);

/** Every table of bench/results that a bench wrote: a file for each machine. */
export function benchmarkPage(): string {
  const machines = readdirSync(folder)
    .filter((name) => name.endsWith('cores.md'))
    .map((name) => readFileSync(new URL(name, folder), 'utf8'));
  return generatedPage('Benchmarks', 'bench/results', [
    'Each table was written by the command above it (`npm run bench NAME -- --record`), on the machine and ' +
      'at the commit that it names. A bench checks the answers first, and runs in turns with the peer on ' +
      'the same machine. Nothing here is copied from elsewhere.',
    ...machines.map((text) => text.trim().replace(/^## /gm, '### ').replace(/^# /gm, '## ')),
  ]);
}
