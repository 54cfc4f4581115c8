import type { Command } from 'commander';
import { FINISH_KEYS } from '../../config/finish-keys.ts';
import { prepareFinish } from '../../recipes/finish/finish-values.ts';
import type { Context } from '../context.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';
import { runTraining, type TrainingFlags } from '../run-training.ts';

type FinishFlags = TrainingFlags & Record<string, string | undefined>;

export function addFinishCommand(program: Command, context: Context): void {
  const command = program
    .command('finish')
    .argument('<run>', 'Folder of a finished run')
    .summary('train one rank of a finished run further, alone')
    .description(
      'Trains one rank of a finished run further, alone, for a share of its steps, with the data, the ' +
        'optimizer and the optimizer moments of the run. The learning rate warms up again, to a fifth of ' +
        'the peak of the run (if lora_scaling is not tapered: to 0.5/√rank of it, if that is more). Every ' +
        'key of the run is also a flag, except those of nested ranks.',
    );
  addKeyFlags(command, FINISH_KEYS)
    .option(
      '--dry-run',
      'Show the resolved run, one row with its loss mask, and forecasts of time and memory; write nothing',
    )
    .option('--json', 'Print one JSON document');
  command.action(async (run: string, flags: FinishFlags) =>
    runTraining(await prepareFinish(run, explicitFlags(FINISH_KEYS, flags)), flags, context),
  );
}
