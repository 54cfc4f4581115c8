import { parseArgs } from 'node:util';
import { readJobs, type Job } from './job.ts';
import type { Files } from './setting.ts';

/** The command line of the scripts that run one job. */
export interface JobArguments {
  readonly job: Job;
  readonly files: Files;
  /** Steps that `export-run` trains itself, and their compute dtype. */
  readonly checkSteps: number;
  readonly computeDtype: 'f32' | 'bf16';
}

/**
 * Reads `<jobs.json> <id> --model … --dataset … --eval-dataset … --output-dir …` and, for `export-run`,
 * `--check-steps` and `--compute`.
 */
export function jobArguments(): JobArguments {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string' },
      dataset: { type: 'string' },
      'eval-dataset': { type: 'string' },
      'output-dir': { type: 'string' },
      'check-steps': { type: 'string', default: '0' },
      compute: { type: 'string', default: 'bf16' },
    },
  });
  const [file, id] = positionals;
  const job = readJobs(file).find((each) => each.id === id);
  if (!job) throw new Error(`${file} has no job ${id}`);
  return {
    job,
    files: {
      model: values.model!,
      dataset: values.dataset!,
      evalDataset: values['eval-dataset']!,
      outputDir: values['output-dir']!,
    },
    checkSteps: Number(values['check-steps']),
    computeDtype: values.compute === 'f32' ? 'f32' : 'bf16',
  };
}
