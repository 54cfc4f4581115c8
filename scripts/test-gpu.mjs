// `npm run test:gpu`: the conformance of the CUDA kernels on this machine's GPU, through its driver. Ends
// with 2 and one line where there is no GPU. Arguments go to vitest.
import { join } from 'node:path';
import { root, runCommand } from './run-command.mjs';

const home = join(root, 'packages', 'cuda-kernels');
const fromSource = ['--conditions=source', '--import', 'tsx'];

function main(words) {
  const { status } = runCommand(process.execPath, [join(home, 'scripts', 'build-addon.mjs')]);
  if (status !== 0) return status;
  const found = runCommand(process.execPath, [...fromSource, join(home, 'scripts', 'find-gpu.ts')]);
  if (found.status !== 0) return found.status;
  const config = join(home, 'vitest.gpu.config.ts');
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  return runCommand(process.execPath, [vitest, 'run', '--config', config, ...words], { cwd: home }).status;
}

process.exitCode = main(process.argv.slice(2));
