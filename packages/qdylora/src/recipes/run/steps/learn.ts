import { writeFileDurably } from '@qdylora/checkpoint';
import {
  train,
  type StepBatches,
  type TrainCallbacks,
  type TrainEvent,
  type TrainOptions,
  type TrainResult,
} from '@qdylora/trainer';
import { runYaml } from '../../../config/yaml/write-run-yaml.ts';
import type { EventLine } from '../../run-folder/event-line.ts';
import { openEventLog, type EventLog } from '../../run-folder/event-log.ts';
import { metricSinks } from '../../run-folder/metric-sinks.ts';
import { resumeFrom, runPaths } from '../../run-folder/output-folder.ts';
import { gradientSumOf, reductionNotice } from '../gradient-sum-of.ts';
import type { Judge } from '../judging/judge-run.ts';
import type { OpProfile } from './op-profile.ts';
import type { OpenedRun } from '../opened-run.ts';
import type { RunSession } from '../run-session.ts';
import { saveOptions } from '../save-options.ts';

/** A run after its last step. */
export interface Learned {
  readonly training: TrainResult;
  /** All events of the run, also those of earlier processes; none for a worker that writes no files. */
  readonly events: () => readonly EventLine[];
}

/**
 * Trains, and passes each event to the log, the metric sinks and the run's listener. Files are written only
 * once the trainer holds the lock of the folder, in `onPlan`, and only by the first of several workers.
 *
 * @throws QdyloraError whatever `train` throws
 */
export async function learn(opened: OpenedRun, judge: Judge | null, session: RunSession): Promise<Learned> {
  const { config, profile } = opened;
  const { emit, notes, notice, callbacks, fs } = session;
  const paths = runPaths(config.outputDir);
  const isWriter = (session.workers?.rank ?? 0) === 0;
  const reduction = session.workers && reductionNotice(config, session.workers);
  if (reduction) notice(reduction);
  const logs: { current: EventLog | null } = { current: null };
  const onPlan: TrainOptions['onPlan'] = async ({ startStep, totalSteps, previousTotalSteps }) => {
    if (previousTotalSteps !== null) notice(continuation(previousTotalSteps, totalSteps));
    if (!isWriter) return;
    writeFileDurably(paths.run, [Buffer.from(await runYaml(config))]);
    const warn: Parameters<typeof openEventLog>[1]['warn'] = (event) => {
      notes.push(event.message);
      emit(event);
    };
    logs.current = openEventLog(paths.events, { startStep, warn, fs });
  };
  const onStep: TrainCallbacks['onStep'] = (event) => {
    profile?.endStep(event.stepSeconds);
    return callbacks.onStep?.(event);
  };
  const run = train({ ...trainOptions(opened, judge, session), onPlan, onStep });
  using sinks = metricSinks(isWriter ? config.reportTo : [], paths, notice);
  try {
    for await (const event of run) {
      logs.current?.write(event);
      sinks.write(event);
      emit(event);
      if (isNoteworthy(event)) notes.push(event.message);
    }
  } finally {
    logs.current?.close();
  }
  if (isWriter) writeProfile(opened, session);
  return { training: await run.result, events: () => logs.current?.events() ?? [] };
}

/** For a run that is trained for more steps than planned, which changes later learning rates. */
const continuation = (previousTotalSteps: number, totalSteps: number): string =>
  `The run was planned for ${previousTotalSteps} steps and is continued to ${totalSteps}: the ` +
  `learning-rate schedule is planned again over ${totalSteps} steps, so the next rates do not follow from ` +
  `the first plan.`;

/** Skipped steps are counted in the report, so there is no note for each. */
const isNoteworthy = (event: TrainEvent): event is Extract<TrainEvent, { type: 'warning' }> =>
  event.type === 'warning' && event.code !== 'NON_FINITE_LOSS';

function trainOptions(opened: OpenedRun, judge: Judge | null, session: RunSession): TrainOptions {
  const { config, run, profile } = opened;
  const { callbacks, signal } = session;
  return {
    ...run.training,
    ...callbacks,
    signal,
    workers: session.workers,
    gradientSum: gradientSumOf(config, session.workers ?? null),
    maxRanks: config.maxRankByWorker,
    optimizerState: config.optimizerState,
    resume: resumeFrom(config.resumeFromCheckpoint),
    earlyStopping: earlyStopping(opened),
    evaluate: judge?.forTrainer({
      every: config.evalSteps || run.totalSteps,
      beforeFirstStep: config.adapter !== null,
      ranks: config.evalRanks,
    }),
    batches: profile ? beginningSteps(run.training.batches, profile) : run.training.batches,
    save: saveOptions(opened, judge !== null, session),
  };
}

const earlyStopping = ({ config }: OpenedRun): TrainOptions['earlyStopping'] =>
  config.earlyStopping === null
    ? undefined
    : {
        on: config.earlyStopping,
        patience: config.earlyStoppingPatience,
        minDelta: config.earlyStoppingMinDelta,
      };

/** A step begins when it asks for its batches. */
const beginningSteps = (batches: StepBatches, profile: OpProfile): StepBatches => ({
  stepsPerEpoch: batches.stepsPerEpoch,
  epochAt: (step) => batches.epochAt(step),
  batchAt(step) {
    profile.beginStep();
    return batches.batchAt(step);
  },
  shareAt:
    batches.shareAt &&
    ((step, share) => {
      profile.beginStep();
      return batches.shareAt!(step, share);
    }),
});

function writeProfile({ profile, chosen, config }: OpenedRun, { emit }: RunSession): void {
  const hasSteps = profile !== null && profile.summary(null).steps > 0;
  if (!hasSteps) return; // a run that had ended before: its profile stays
  const { profile: file } = runPaths(config.outputDir);
  writeFileDurably(file, [Buffer.from(profile.trace())]);
  emit({ type: 'profile', file, ...profile.summary(chosen.ceilings()) });
}
