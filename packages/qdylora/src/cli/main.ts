import { stripVTControlCharacters } from 'node:util';
import { Command, CommanderError } from 'commander';
import {
  EVALUATE_KEYS,
  EXPORT_KEYS,
  GENERATE_KEYS,
  INSPECT_KEYS,
  MERGE_KEYS,
  PLAN_KEYS,
  QUANTIZE_KEYS,
  TUNE_ONLY_KEYS,
} from '../config/verb-keys.ts';
import { FINISH_ONLY_KEYS } from '../config/finish-keys.ts';
import { TASK_ONLY_KEYS } from '../config/task-keys.ts';
import { KEYS } from '../config/keys.ts';
import { SERVE_KEYS } from '../config/serve-keys.ts';
import { leaveSign } from '../launch/worker-signs.ts';
import { VERSION } from '../version.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEvalCommand } from './commands/eval.ts';
import { addExportCommand } from './commands/export.ts';
import { addFinishCommand } from './commands/finish.ts';
import { addGenerateCommand } from './commands/generate.ts';
import { addInspectCommand } from './commands/inspect.ts';
import { addLaunchCommand } from './commands/launch.ts';
import { addMergeCommand } from './commands/merge.ts';
import { addPlanCommand } from './commands/plan.ts';
import { addQuantizeCommand } from './commands/quantize.ts';
import { addRanksCommand } from './commands/ranks.ts';
import { addServeCommand } from './commands/serve.ts';
import { addTrainCommand } from './commands/train.ts';
import { addTuneCommand } from './commands/tune.ts';
import { assertValuesGiven } from './assert-values-given.ts';
import type { Context } from './context.ts';
import { exitCodeOf, type ExitCode } from './exit-code.ts';
import { HELP_FORMAT, WIDEST_HELP } from './format-help.ts';
import { withInterrupts } from './interrupts.ts';
import { writeOutBooleans } from './key-flags.ts';
import { launchedWorker } from './read-env.ts';
import { errorJson, errorText } from './render/errors.ts';
import { assertHelpTopic, usageError } from './usage-error.ts';

const ALL_KEYS = {
  ...SERVE_KEYS,
  ...GENERATE_KEYS,
  ...EVALUATE_KEYS,
  ...TASK_ONLY_KEYS,
  ...EXPORT_KEYS,
  ...MERGE_KEYS,
  ...QUANTIZE_KEYS,
  ...INSPECT_KEYS,
  ...PLAN_KEYS,
  ...FINISH_ONLY_KEYS,
  ...TUNE_ONLY_KEYS,
  ...KEYS,
};

/** The commands, in the order in which they are needed. */
const COMMANDS = [
  addPlanCommand,
  addTuneCommand,
  addTrainCommand,
  addLaunchCommand,
  addEvalCommand,
  addRanksCommand,
  addFinishCommand,
  addExportCommand,
  addMergeCommand,
  addQuantizeCommand,
  addGenerateCommand,
  addServeCommand,
  addInspectCommand,
  addDoctorCommand,
];

/** Runs one command line (without `node` and the script) and returns its exit code. Does not throw. */
export async function main(
  argv: readonly string[],
  { terminal, trainWorker, page }: Pick<Context, 'terminal' | 'trainWorker' | 'page'>,
): Promise<ExitCode> {
  const words = writeOutBooleans(argv, ALL_KEYS);
  const isDebug = words.includes('--debug');
  const isJson = words.includes('--json');
  const program = createProgram({
    terminal,
    argv,
    trainWorker,
    page,
    interruptible: (work, stopping) => withInterrupts(terminal, work, { stopping }),
  });
  try {
    assertHelpTopic(program, words);
    assertValuesGiven(program, words);
    await program.parseAsync(words, { from: 'user' });
    return 0;
  } catch (thrown) {
    terminal.status('');
    if (thrown instanceof CommanderError && HELP_CODES.has(thrown.code)) return thrown.exitCode === 0 ? 0 : 2;
    const error = thrown instanceof CommanderError ? usageError(thrown, program, words) : thrown;
    if (isJson) terminal.out(JSON.stringify(errorJson(error), null, 2));
    showError(errorText(error, terminal, isDebug), terminal);
    return exitCodeOf(error);
  }
}

/** Shows an error. A launcher may lose it: it ends all workers as soon as one has failed. */
function showError(text: string, terminal: Context['terminal']): void {
  const worker = launchedWorker();
  if (worker) leaveSign(worker.folder, 'error', worker.rank, stripVTControlCharacters(text));
  terminal.note(text);
}

/** Codes of the errors that commander throws after showing help or the version. */
const HELP_CODES: ReadonlySet<string> = new Set([
  'commander.help',
  'commander.helpDisplayed',
  'commander.version',
]);

/** The command line: every verb with its flags. */
export function createProgram(context: Context): Command {
  const { terminal } = context;
  const helpColumns = (): number => Math.min(terminal.columns, WIDEST_HELP);
  const program = new Command('qdylora');
  program
    .description('Fine-tune a language model at every LoRA rank in one run.')
    .version(VERSION)
    .option('--debug', 'Print the stack trace of an error');
  program
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => terminal.note(text.trimEnd()),
      outputError: () => {},
      getOutHelpWidth: helpColumns,
      getErrHelpWidth: helpColumns,
    })
    .configureHelp(HELP_FORMAT)
    .exitOverride();
  program.enablePositionalOptions(false);
  for (const add of COMMANDS) add(program, context);
  for (const command of program.commands)
    command.exitOverride().option('--debug', 'Print the stack trace of an error');
  return program;
}
