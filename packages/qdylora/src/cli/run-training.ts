import { snakeCased } from '@qdylora/contract';
import { DEFAULT_ALPHA } from '@qdylora/eval';
import { runYaml } from '../config/yaml/write-run-yaml.ts';
import type { FinetuneResult } from '../recipes/finetune.ts';
import { nextCommand } from '../recipes/outputs/next-command.ts';
import type { RunPlan } from '../recipes/plan-run.ts';
import type { PreparedRun } from '../recipes/run/prepare-run.ts';
import { countOf, errorText, lossText } from '../report/number-text.ts';
import { finishText } from '../report/sections/next-section.ts';
import { printResult, type CommonFlags, type Context } from './context.ts';
import { withContinueCommand } from './continue-command.ts';
import { STOPPING } from './interrupts.ts';
import { startedWorkers } from './read-env.ts';
import { forecastLines } from './render/memory-lines.ts';
import { clockText } from './render/progress.ts';
import { rankTable } from './render/table.ts';
import { showTraining } from './render/train-progress.ts';
import { finetuneInThread } from './worker/finetune-in-thread.ts';
import { planTraining } from './worker/plan-training.ts';

export type TrainingFlags = CommonFlags & { readonly dryRun?: boolean };

/** Trains a run in the training thread, and shows its progress and its result; or shows its plan. */
export async function runTraining(
  config: PreparedRun,
  flags: TrainingFlags,
  context: Context,
): Promise<void> {
  if (flags.dryRun) return showPlan(config, context, flags);
  const onEvent = showTraining(context.terminal);
  const result = await context
    .interruptible((signal) => finetuneInThread(context.trainWorker, config, { signal, onEvent }))
    .catch((error: unknown) => {
      throw withContinueCommand(error, context.argv, startedWorkers());
    });
  if (!result) return; // the first worker of the run shows it
  printResult(context, flags, snakeCased({ ...result.report, files: result.files }), () =>
    resultLines(config, result, context),
  );
}

function resultLines(
  config: PreparedRun,
  { report, files }: FinetuneResult,
  { terminal }: Context,
): string[] {
  const { ranks, base, bestRank, smallestGoodRank, heldOut } = report;
  const heldOutLine = heldOut
    ? [`held-out loss ${lossText(heldOut.loss)} ${errorText(heldOut.standardError)}`.trimEnd()]
    : [];
  const losses =
    ranks.length > 0
      ? rankTable({ ranks, base, bestRank, smallestGoodRank, alpha: DEFAULT_ALPHA }, terminal)
      : heldOutLine;
  return [
    ...losses,
    files.adapter ? `adapter: ${files.adapter}` : `model: ${files.model}`,
    `report: ${files.reportHtml}`,
    `next: ${nextCommand(config, report)}`,
    ...(report.finish ? [`${finishText(report.finish)} ${report.finish.command}`] : []),
  ];
}

async function showPlan(config: PreparedRun, context: Context, flags: CommonFlags): Promise<void> {
  const { terminal } = context;
  terminal.status('loading model and data, timing one pass …');
  const plan = await context.interruptible(async (signal) => {
    const color = terminal.hasColor && !flags.json;
    const planned = await planTraining(context.trainWorker, config, { color, signal });
    signal.throwIfAborted(); // the thread may have ended before it saw the signal
    return planned;
  }, STOPPING);
  const values = await runYaml(plan.config);
  printResult(context, flags, snakeCased(plan), () => planLines(plan, values, context));
}

function planLines(plan: RunPlan, values: string, { terminal: { paint } }: Context): string[] {
  const rate = Math.round(plan.passTokens / plan.passSeconds);
  return [
    values.trimEnd(),
    '',
    paint('dim', 'first row, with the tokens that the loss counts:'),
    plan.row,
    '',
    `${countOf(plan.totalSteps, 'step')} (${plan.stepsPerEpoch} an epoch), ` +
      `${countOf(plan.trainingRows, 'row')}, ${plan.heldOutRows} held out`,
    `${plan.layers > 0 ? `${plan.layers} layers adapted, ` : ''}${(plan.trainableCount / 1e6).toFixed(2)} ` +
      `M trainable, on ${plan.backend}`,
    `about ${clockText(plan.forecastSeconds)} (one micro batch of ${plan.passTokens} tokens took ` +
      `${plan.passSeconds.toFixed(2)} s: ${rate.toLocaleString('en-US')} tok/s)`,
    ...(plan.memory ? forecastLines(plan.memory) : []),
    ...plan.notes.map((note) => paint('yellow', note)),
    paint('dim', 'Nothing was written. Without --dry-run the run begins.'),
  ];
}
