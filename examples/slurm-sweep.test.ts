import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tinyRun } from './test-support/tiny-run.ts';

const SCRIPT = fileURLToPath(new URL('slurm-sweep.ts', import.meta.url));
const TIMEOUT = 240_000;

/** A stand-in that runs the tasks of an array one after the other, as Slurm would on one node. */
const SBATCH = `#!/bin/sh
for word in "$@"; do
  case "$word" in
    --array=*) range="\${word#--array=}" ;;
    --wrap=*) command="\${word#--wrap=}" ;;
  esac
done
for task in $(seq "\${range%-*}" "\${range#*-}"); do
  SLURM_ARRAY_TASK_ID="$task" sh -c "$command" || echo "task $task failed"
done
`;

test(
  'a sweep runs each configuration as a task of an array, and joins their reports',
  () => {
    using tiny = tinyRun();
    const bin = join(tiny.folder, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'sbatch'), SBATCH);
    chmodSync(join(bin, 'sbatch'), 0o755);
    const { model, dataset } = tiny;
    const shape = { ranks: [1, 2], valSetSize: 4, maxSteps: 4, maxSeqLength: 64, backend: 'host' };
    const file = join(tiny.folder, 'sweep.json');
    // the second task has a model that is not there
    const grid = { learningRate: [1e-2], model: [model, join(tiny.folder, 'nothing')] };
    const outputDir = join(tiny.folder, 'sweep');
    writeFileSync(file, JSON.stringify({ outputDir, base: { dataset, ...shape }, grid }));
    const sweep = (verb: string): string => {
      const words = ['--conditions=source', '--import', 'tsx', SCRIPT, verb, file];
      const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
      const { stdout, stderr } = spawnSync(process.execPath, words, { env, encoding: 'utf8' });
      return stdout + stderr;
    };
    expect(sweep('submit')).toContain('task 1 failed');
    const [, , first, second] = sweep('join').split('\n');
    expect(first).toMatch(/^\| 0 \| 0\.01 \| .* \| [12] \| \d\.\d{4} \| \d\.\d{4} \| -?\d\.\d{4} \|$/);
    expect(second).toMatch(/^\| 1 \| .* \| no report \|/);
  },
  TIMEOUT,
);
