import type { Command } from 'commander';
import { mergeExplicit } from '../../config/explicit-values.ts';
import { KEYS } from '../../config/keys.ts';
import { readRunYaml } from '../../config/yaml/read-run-yaml.ts';
import { prepareRun } from '../../recipes/run/prepare-run.ts';
import type { Context } from '../context.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';
import { runTraining, type TrainingFlags } from '../run-training.ts';

type TrainFlags = TrainingFlags & Record<string, string | undefined>;

export function addTrainCommand(program: Command, context: Context): void {
  const command = program
    .command('train')
    .argument('[run.yaml]', 'File with keys and values; flags override them')
    .summary('fine-tune a model, all ranks in one run')
    .description(
      'Fine-tunes a model. Every key of run.yaml is also a flag. The file is optional if --model, ' +
        '--dataset and --output-dir are given.',
    );
  addKeyFlags(command, KEYS)
    .option(
      '--dry-run',
      'Show the resolved run, one row with its loss mask, and forecasts of time and memory; write nothing',
    )
    .option('--json', 'Print one JSON document');
  command.action(async (file: string | undefined, flags: TrainFlags) => {
    const explicit = explicitFlags(KEYS, flags);
    const config = prepareRun(
      mergeExplicit(file === undefined ? new Map() : await readRunYaml(file), explicit),
    );
    return runTraining(config, flags, context);
  });
}
