import { QdyloraError, snakeCase, snakeCased } from '@qdylora/contract';
import type { Command } from 'commander';
import { mergeExplicit, type ExplicitValues } from '../../config/explicit-values.ts';
import type { Key } from '../../config/key.ts';
import { EVALUATE_TASKS_KEYS, TASK_ONLY_KEYS } from '../../config/task-keys.ts';
import { EVALUATE_KEYS } from '../../config/verb-keys.ts';
import { evaluateFrom, type EvaluationRow } from '../../recipes/evaluate.ts';
import { precisionText } from '../../recipes/opening/weight-precision.ts';
import { evaluateTasksFrom } from '../../recipes/tasks/evaluate-tasks.ts';
import { taskReportJson } from '../../recipes/tasks/write-task-report.ts';
import { assertNamedOnce } from '../assert-named-once.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { STOPPING } from '../interrupts.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';
import { showPasses } from '../render/progress.ts';
import { evaluationTable } from '../render/table.ts';
import { taskTable } from '../render/task-table.ts';

/** Flags of the commands that evaluate. `--data` is short for `--dataset`. */
export type JudgeFlags = CommonFlags & Record<string, string | undefined>;

export function addEvalCommand(program: Command, context: Context): void {
  const command = program
    .command('eval')
    .summary('measure loss and perplexity, or benchmark scores, at any rank')
    .description(
      'Measures loss and perplexity on text or answers, of a base model or of every rank of an adapter. ' +
        'With --tasks: scores on benchmark tasks, with the numbers of lm-evaluation-harness.',
    );
  addKeyFlags(command, {
    ...EVALUATE_KEYS,
    ...TASK_ONLY_KEYS,
    batchInvariant: trueForTasks(EVALUATE_KEYS.batchInvariant),
    compareWithBase: trueForTasks(EVALUATE_KEYS.compareWithBase),
  })
    .option('--data <path,…>', 'The same as --dataset')
    .option('--json', 'Print one JSON document');
  command.action(async (flags: JudgeFlags) => {
    context.terminal.status('loading model and data …');
    await (flags.tasks === undefined ? judgeRows(flags, context) : judgeTasks(flags, context));
  });
}

/** The key of losses, whose default is another one with --tasks. */
const trueForTasks = (key: Key): Key => ({ ...key, about: `${key.about}; with --tasks by default true` });

async function judgeRows(flags: JudgeFlags, context: Context): Promise<void> {
  assertNone(flags, Object.keys(TASK_ONLY_KEYS), 'needs --tasks');
  const { terminal } = context;
  const { results, precision } = await context.interruptible(
    (signal) =>
      evaluateFrom(evaluationValues(flags), {
        signal,
        onNotice: (message) => terminal.note(message),
        onProgress: showPasses(terminal, 'evaluating'),
      }),
    STOPPING,
  );
  printResult(context, flags, { precision, results: results.map(rowJson) }, () => [
    ...evaluationTable(results, terminal),
    terminal.paint('dim', precisionText(precision)),
  ]);
}

async function judgeTasks(flags: JudgeFlags, context: Context): Promise<void> {
  const rowKeys = Object.keys(EVALUATE_KEYS).filter((key) => !(key in EVALUATE_TASKS_KEYS));
  assertNone(flags, [...rowKeys, 'data'], 'does nothing with --tasks');
  const { terminal } = context;
  const keepsAnswers = (flags.outputDir ?? flags.cacheRequests) !== undefined;
  const evaluation = await context.interruptible(
    (signal) =>
      evaluateTasksFrom(explicitFlags(EVALUATE_TASKS_KEYS, flags), {
        signal,
        onNotice: (message) => terminal.note(message),
        onProgress: showPasses(terminal, 'evaluating'),
      }),
    keepsAnswers ? undefined : STOPPING,
  );
  const { results, files, precision, report } = evaluation;
  const document = { precision, files, report, results: snakeCased(results), ...taskReportJson(evaluation) };
  printResult(context, flags, document, () => [
    ...taskTable(results, evaluation, terminal),
    terminal.paint('dim', precisionText(precision)),
    ...files.map((file) => terminal.paint('dim', file)),
    ...(report === null ? [] : [`report: ${report}`]),
  ]);
}

/** @throws QdyloraError BAD_CONFIG if one of these flags is given */
function assertNone(flags: JudgeFlags, keys: readonly string[], problem: string): void {
  const key = keys.find((each) => flags[each] !== undefined);
  if (key === undefined) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: snakeCase(key),
    problem: `--${snakeCase(key).replaceAll('_', '-')} ${problem}.`,
    nextStep: 'Leave it out, or see qdylora eval --help.',
  });
}

/** The values of a command that evaluates.  @throws QdyloraError BAD_CONFIG for --data beside --dataset */
export function evaluationValues(flags: JudgeFlags): ExplicitValues {
  assertNamedOnce(flags);
  return mergeExplicit(
    explicitFlags(EVALUATE_KEYS, { dataset: flags.data }),
    explicitFlags(EVALUATE_KEYS, flags),
  );
}

const rowJson = ({ versusBase, ...row }: EvaluationRow): unknown =>
  snakeCased({ ...row, ...(versusBase && { versusBase }) });
