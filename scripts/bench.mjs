// `npm run bench`: the kernels' own benches. `pnpm bench:kernels [flags]`: kernels against ceilings and
// rivals. `npm run bench training-step -- --model ../smollm2`: bench/training-step.bench.ts with its flags.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listFiles } from './list-files.mjs';
import { root, runCommand, runPnpm } from './run-command.mjs';
import { setUp } from './set-up.mjs';

/** Sets up while standard output stays free for rows of JSON. */
const setUpQuietly = () =>
  spawnSync(process.execPath, [join(root, 'scripts', 'set-up.mjs')], { stdio: ['ignore', 2, 2] }).status ?? 1;

/** In the package's folder: its bench knows its own files. */
function benchKernels(flags) {
  const status = setUpQuietly();
  const cwd = join(root, 'packages', 'cpu-kernels');
  return (
    status ||
    runCommand(
      process.execPath,
      ['--import', 'tsx', '--conditions=source', join(cwd, 'bench', 'bench-kernels.ts'), ...flags],
      { cwd },
    ).status
  );
}

function main([name, ...flags]) {
  if (name === 'kernels') return benchKernels(flags);
  if (name === undefined)
    return (setUp(), runPnpm(['--filter', '@qdylora/cpu-kernels', 'run', 'bench']).status);
  const file = join(root, 'bench', `${name}.bench.ts`);
  const known = listFiles(join(root, 'bench'), /\.bench\.ts$/).map((path) => basename(path, '.bench.ts'));
  if (!existsSync(file))
    return (console.error(`[bench] expected one of kernels, ${known.join(', ')}, got ${name}.`), 2);
  setUp();
  return runCommand(process.execPath, ['--import', 'tsx', '--conditions=source', file, ...flags]).status;
}

process.exitCode = main(process.argv.slice(2));
