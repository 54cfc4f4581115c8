// `npm run bench`: the kernels' own benches. `npm run bench kernels -- [flags]`: kernels against ceilings and
// rivals. `npm run bench gpu [-- --json]`: CUDA kernels against the driver's copy.
// `npm run bench training-step -- --model ../smollm2`: bench/training-step.bench.ts with its flags.
// `--record` writes the rows to this machine's file in bench/results.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listFiles } from './list-files.mjs';
import { root, runCommand } from './run-command.mjs';

const kernels = join(root, 'packages', 'cpu-kernels');
const cuda = join(root, 'packages', 'cuda-kernels');

/** The file of a bench and the folder that it runs in: the kernels' benches run in their package. */
function benchNamed(name) {
  if (name === 'kernels') return { file: join(kernels, 'bench', 'bench-kernels.ts'), cwd: kernels };
  if (name === 'gpu') return { file: join(cuda, 'bench', 'bench-gpu.ts'), cwd: cuda };
  if (name === undefined) return { file: join(kernels, 'scripts', 'run-benches.ts'), cwd: kernels };
  return { file: join(root, 'bench', `${name}.bench.ts`), cwd: root };
}

/** Standard output is for rows. A machine that is lent for its GPU gets the addon only. */
function setUpOnStandardError(name) {
  const script =
    name === 'gpu' ? join(cuda, 'scripts', 'build-addon.mjs') : join(root, 'scripts', 'set-up.mjs');
  return spawnSync(process.execPath, [script], { stdio: ['ignore', 2, 2] }).status ?? 1;
}

function main(words) {
  const name = words[0]?.startsWith('--') ? undefined : words[0];
  const flags = words.slice(name === undefined ? 0 : 1).filter((word) => word !== '--record');
  const { file, cwd } = benchNamed(name);
  if (!existsSync(file)) {
    const names = listFiles(join(root, 'bench'), /\.bench\.ts$/).map((path) => basename(path, '.bench.ts'));
    console.error(`[bench] There is no bench ${name}. There are kernels, gpu, ${names.join(', ')}.`);
    return 2;
  }
  const status = setUpOnStandardError(name);
  if (status !== 0) return status;
  const command = ['npm run bench', ...(name ? [name] : []), ...(flags.length ? ['--', ...flags] : [])].join(
    ' ',
  );
  const env = words.includes('--record') ? { QDYLORA_BENCH_RECORD: command } : {};
  return runCommand(process.execPath, ['--import', 'tsx', '--conditions=source', file, ...flags], {
    cwd,
    env,
  }).status;
}

process.exitCode = main(process.argv.slice(2));
