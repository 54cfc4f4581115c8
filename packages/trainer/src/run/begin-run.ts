import { broadcastText } from '@qdylora/collectives';
import { createRng, elementCount, QdyloraError } from '@qdylora/contract';
import type { RunStart, CheckpointKeeper } from '../checkpoints/open-keeper.ts';
import { resumeState } from '../checkpoints/resume-state.ts';
import type { CheckpointContents } from '../checkpoints/save-state.ts';
import { startOptimizer } from '../checkpoints/start-optimizer.ts';
import { stateNameOf } from '../optimizers/create-optimizer.ts';
import { sumOrderOf } from '../sharing/sum-order.ts';
import { createPassRecorder } from '../step/pass-recorder.ts';
import { firstLossScale } from '../step/loss-scale.ts';
import { isAdapted } from '../step/passes-of-step.ts';
import { freshProgress, type RunProgress } from './run-progress.ts';
import type { EventQueue } from './event-queue.ts';
import type { PlanEvent, TrainEvent, WarningCode } from './train-events.ts';
import type { ResolvedTrainOptions } from './train-options.ts';
import { isPatienceOver, type TrainingRun } from './training-run.ts';

/** `evaluatedAt` of a run that has yet to evaluate its initial weights. */
const BEFORE_FIRST_STEP = -1;

/** Warnings of a resume that say how the steps to come differ from those so far. */
const ABOUT_LATER_STEPS: readonly WarningCode[] = ['OTHER_KERNELS', 'OTHER_SUMS'];

/**
 * Prepares the optimizer, restores a checkpoint or the optimizer state of another run, checks that the disk
 * has room for the next checkpoint, and emits the plan.
 *
 * @throws QdyloraError BAD_ARGUMENT for an optimizer with parameters that the run does not train; BAD_RESUME;
 * NOT_EMPTY; WRITE_FAILED.
 */
export async function beginRun(
  options: ResolvedTrainOptions,
  events: EventQueue<TrainEvent>,
  keeper: CheckpointKeeper | null,
): Promise<TrainingRun> {
  const { optimizer, backend, batches, seed, totalSteps, save, lossScaling: scaling } = options;
  const identity = { ...save?.config, seed, optimizer: stateNameOf(optimizer.name) };
  assertTrainsModel(options);
  optimizer.prepare(backend);
  const start = await beginTogether({ backend, optimizer, identity }, options, keeper);
  if (!start?.resumedFrom && options.optimizerState) startOptimizer(optimizer, options.optimizerState);
  const progress = start?.progress ?? freshProgress();
  if (!start?.resumedFrom && options.evaluate?.beforeFirstStep) progress.evaluatedAt = BEFORE_FIRST_STEP;
  const otherEvaluation = forgetOtherScores(progress, options);
  progress.lossScale = scaling ? (progress.lossScale ?? firstLossScale(scaling)) : null;
  if (progress.step < totalSteps) keeper?.assertRoom({ optimizer });
  const previousTotalSteps = progress.totalSteps === totalSteps ? null : progress.totalSteps;
  progress.totalSteps = totalSteps;
  const emit = (event: TrainEvent): void => {
    progress.events++;
    events.push(event);
  };
  const warn = (code: WarningCode, message: string): void =>
    emit({ type: 'warning', code, message, step: progress.step });
  const plan: PlanEvent = {
    type: 'plan',
    totalSteps,
    stepsPerEpoch: batches.stepsPerEpoch,
    startStep: progress.step,
    resumedFrom: start?.resumedFrom ?? null,
    previousTotalSteps,
    eventsOffset: progress.events,
    trainableCount: optimizer.parameters.reduce((sum, { view }) => sum + elementCount(view.shape), 0),
    optimizerBytes: optimizer.byteLength,
    optimizerPagedBytes: optimizer.ledger().pagedBytes,
  };
  await options.onPlan?.(plan);
  emit(plan);
  for (const { code, message } of start?.warnings ?? []) {
    const isFinished = progress.step >= totalSteps; // then no kernel runs
    if (!isFinished || !ABOUT_LATER_STEPS.includes(code)) warn(code, message);
  }
  if (otherEvaluation) warn('OTHER_EVALUATION', otherEvaluation);
  return {
    options,
    keeper,
    progress,
    identity,
    dropout: createRng(seed).named('dropout'),
    recorder: options.recordsPasses === false ? null : createPassRecorder(backend),
    savedAt: progress.step,
    isDiskLow: false,
    isSavable: true,
    failedSave: null,
    isStopAgreed: false,
    stoppedBy: isPatienceOver(options, progress) ? 'early_stopping' : null,
    emit,
    warn,
  };
}

const OTHER_EVALUATION =
  'The run resumes with other held-out rows or other ranks to evaluate, so its scores cannot be compared ' +
  'with earlier ones: the best adapter and early stopping start over.';

/** Drops earlier scores if they are of other rows or ranks. Returns the warning; null if they are not. */
function forgetOtherScores(
  progress: RunProgress,
  { evaluate, levels }: Pick<ResolvedTrainOptions, 'evaluate' | 'levels'>,
): string | null {
  const { measured } = progress;
  const isOther = measured !== null && evaluate?.measures !== undefined && evaluate.measures !== measured;
  if (!isOther) return null;
  Object.assign(progress, { best: null, lowestScore: null, earlyStopping: null });
  return levels?.schedule === 'feedback'
    ? `${OTHER_EVALUATION} The levels of later steps follow the new scores.`
    : OTHER_EVALUATION;
}

/**
 * Restores the run. The worker that saves chooses the checkpoint, and the others start from the same one.
 *
 * @throws QdyloraError NOT_EMPTY, BAD_RESUME
 */
async function beginTogether(
  trained: Omit<CheckpointContents, 'progress'>,
  { workers, gradientSum, resume, save }: ResolvedTrainOptions,
  keeper: CheckpointKeeper | null,
): Promise<RunStart | null> {
  const sums = sumOrderOf({ workers, gradientSum });
  const parts = { ...trained, absentIdentity: save?.absentConfig, sums };
  const start = keeper?.begin(parts, resume) ?? null;
  if (!workers) return start;
  const path = await broadcastText(workers, start?.resumedFrom ?? null);
  if (workers.rank === 0 || path === null) return start;
  return { progress: resumeState(path, parts).progress, resumedFrom: path, warnings: [] };
}

/**
 * Refuses an optimizer with a parameter that the run does not train. Weights of another model get no
 * gradient. Weights of the base would be taken for adapter matrices: only their first `maxRank` rows would
 * change, and workers would not share the gradients of rows beyond the rank of the step.
 */
function assertTrainsModel({ model, optimizer }: ResolvedTrainOptions): void {
  const trainable = new Set(model.parameters());
  const other = optimizer.parameters.find((parameter) => !trainable.has(parameter));
  if (!other) return;
  const isOfBase = isAdapted(model) && model.model.parameters().includes(other);
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'train',
    problem: isOfBase
      ? `The optimizer has the parameter ${other.name} of the base, but only the adapters are trained`
      : `The optimizer has the parameter ${other.name}, which is not a parameter of the model`,
    nextStep: 'Make the optimizer from `parameters()` of the model that you pass to `train`.',
    details: { parameter: other.name },
  });
}
