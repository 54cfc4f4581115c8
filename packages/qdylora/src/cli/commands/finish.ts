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
    .summary('train one rank of a run a little further, alone')
    .description(
      'Trains the chosen rank of a run alone for a share of its steps, with the data, the optimizer and ' +
        'the moments of the run. The schedule warms up again, to a fifth of the learning rate of the ' +
        'run, or to 0.5/√rank of it where that is more and lora_scaling is not tapered. Every key of the ' +
        'run is also a flag.',
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
