import { readdirSync, readFileSync } from 'node:fs';
import { generatedPage } from './markdown.ts';

const folder = new URL('../../bench/results/', import.meta.url);

/** All of bench/results: the files that benches write, one for each machine, then the other measurements. */
export function benchmarkPage(): string {
  const names = readdirSync(folder).filter((name) => name.endsWith('.md'));
  const machines = names.filter((name) => name.endsWith('cores.md'));
  const others = names.filter((name) => !machines.includes(name));
  const parts = [
    'Each table of a machine was written by the command above it (`npm run bench NAME -- --record`), ' +
      'on the machine and at the commit that it names. A bench checks the answers first, and runs in ' +
      'turns with the peer on the same machine. Nothing here is copied from elsewhere.',
    ...[...machines, ...others].map(section),
  ];
  return generatedPage('Benchmarks', 'bench/results', parts, ['pageClass: wide-tables']);
}

/** A file with its headings one level down. Its title has the name of the file as its anchor. */
function section(name: string): string {
  const id = (file: string): string => file.replace(/\.md$/, '');
  return readFileSync(new URL(name, folder), 'utf8')
    .trim()
    .replace(/^(#+ .*)$/gm, '#$1')
    .replace(/^## .*$/m, (title) => `${title} {#${id(name)}}`)
    .replace(/\]\(([\w-]+\.md)\)/g, (_, file: string) => `](#${id(file)})`);
}
