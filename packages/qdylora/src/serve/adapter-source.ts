import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { isPeftAdapter } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { readRunYaml } from '../config/yaml/read-run-yaml.ts';
import { assertTrainedAdapter } from '../recipes/finish/read-finished-run.ts';
import { runPaths } from '../recipes/run-folder/output-folder.ts';
import { readReport } from '../recipes/run-folder/read-report.ts';
import { shellWord } from '../recipes/outputs/shell-command.ts';

/** Where an adapter to serve is, and what its run says about it. */
export interface AdapterSource {
  /** The name of its models. */
  readonly name: string;
  /** Folder of the adapter. */
  readonly folder: string;
  /** The base model of its run; null for an adapter without a run. */
  readonly model: string | null;
  /**
   * The smallest rank of the report that is not worse than the best one; null without a report, and for an
   * adapter beside the one that the report is about.
   */
  readonly recommendedRank: number | null;
}

const NAME = /^[\w.-]{1,100}$/;

/**
 * Reads `folder` or `name=folder`: the folder of an adapter, or of a run. Without a name: that of the run's
 * folder, else that of the adapter's.
 *
 * @throws QdyloraError MISSING_FILE where there is no adapter; BAD_CONFIG for a name that is none, or a run
 * without adapters
 */
export async function adapterSource(text: string): Promise<AdapterSource> {
  const equals = text.indexOf('=');
  const isNamed = equals > 0 && !existsSync(text);
  const path = isNamed ? text.slice(equals + 1) : text;
  const { run: runYaml, adapter } = runPaths(path);
  const folder = isPeftAdapter(path) ? path : adapter;
  if (!isPeftAdapter(folder)) {
    if (existsSync(runYaml)) assertTrainedAdapter(path, await readRunYaml(runYaml));
    throw new QdyloraError('MISSING_FILE', {
      where: 'adapter',
      problem: `There is no adapter in ${path}, nor in its folder adapter.`,
      nextStep: 'Name the output_dir of a run, or the folder of an adapter.',
      details: { folder: path },
    });
  }
  const run = dirname(resolve(folder));
  const isOfRun = existsSync(runPaths(run).run);
  const name = isNamed ? text.slice(0, equals) : basename(isOfRun ? run : resolve(folder));
  if (!NAME.test(name))
    throw new QdyloraError('BAD_CONFIG', {
      where: 'adapter',
      problem:
        `The name of a model may have letters, digits, dots, hyphens and underscores ` +
        `(got ${JSON.stringify(name)}).`,
      nextStep: `Give it one: --adapter ${shellWord(`my-model=${path}`)}.`,
    });
  return {
    name,
    folder,
    model: isOfRun ? await modelOfRun(runPaths(run).run) : null,
    recommendedRank:
      resolve(folder) === runPaths(run).adapter ? recommendedRank(runPaths(run).reportJson) : null,
  };
}

async function modelOfRun(runYaml: string): Promise<string | null> {
  const model = (await readRunYaml(runYaml)).get('model')?.value;
  return typeof model === 'string' ? model : null;
}

/** A report is advice: the adapter is served without it. */
function recommendedRank(reportJson: string): number | null {
  const report = readReport(reportJson);
  const rank = report.smallest_good_rank ?? report.best_rank;
  return Number.isSafeInteger(rank) ? (rank as number) : null;
}
