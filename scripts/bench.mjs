// `npm run bench`: the kernels' benches. `npm run bench training-step -- --model ../smollm2`: bench/training-step.bench.ts with its flags.
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listFiles } from './list-files.mjs';
import { root, runCommand, runPnpm } from './run-command.mjs';
import { setUp } from './set-up.mjs';

function main([name, ...flags]) {
  if (name === undefined) return setUp(), runPnpm(['--filter', '@qdylora/cpu-kernels', 'run', 'bench']).status;
  const file = join(root, 'bench', `${name}.bench.ts`), known = listFiles(join(root, 'bench'), /\.bench\.ts$/).map((path) => basename(path, '.bench.ts'));
  if (!existsSync(file)) return console.error(`[bench] expected one of ${known.join(', ')}, got ${name}.`), 2;
  setUp();
  return runCommand(process.execPath, ['--import', 'tsx', '--conditions=source', file, ...flags]).status;
}

process.exitCode = main(process.argv.slice(2));
