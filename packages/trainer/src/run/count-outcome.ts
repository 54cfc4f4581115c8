import { QdyloraError } from '@qdylora/contract';
import { nextLossScale } from '../step/loss-scale.ts';
import type { StepOutcome } from '../step/train-step.ts';
import type { TrainingRun } from './training-run.ts';

/**
 * Counts a step as done or as skipped, and ends the run after too many skipped ones.
 *
 * @throws QdyloraError BAD_DATA if none of the first `maxBadSteps` steps had a token to learn from;
 * NON_FINITE_LOSS after `maxBadSteps` steps in a row whose loss, gradient or state was not finite.
 */
export function countOutcome(run: TrainingRun, outcome: StepOutcome): void {
  const { progress } = run;
  switch (outcome.status) {
    case 'updated':
      progress.finalLoss = outcome.loss;
      progress.badInARow = 0;
      return changeLossScale(run, true);
    case 'no_tokens':
      progress.skippedSteps++;
      return countEmptyStep(run);
    case 'non_finite':
      progress.skippedSteps++;
      if (isOverflow(run, outcome)) return backOff(run);
      progress.badInARow++;
      if (outcome.nonFinite !== 'state') changeLossScale(run, false);
      return countBadStep(run, outcome);
  }
}

/** At a scale of at most 1, a non-finite gradient is not an overflow of the scale. */
const isOverflow = ({ progress: { lossScale } }: TrainingRun, { nonFinite }: StepOutcome): boolean =>
  nonFinite === 'gradient' && lossScale !== null && lossScale.scale > 1;

function backOff(run: TrainingRun): void {
  const { progress } = run;
  const before = progress.lossScale?.scale;
  changeLossScale(run, false);
  run.warn(
    'NON_FINITE_LOSS',
    `step ${progress.step} was skipped: its gradient overflowed at loss scale ${before}; the next one has ` +
      `${progress.lossScale?.scale}`,
  );
}

function changeLossScale({ progress, options: { lossScaling } }: TrainingRun, isFinite: boolean): void {
  if (progress.lossScale && lossScaling)
    progress.lossScale = nextLossScale(progress.lossScale, isFinite, lossScaling);
}

function countEmptyStep({ progress, warn, options: { maxBadSteps } }: TrainingRun): void {
  warn('NO_TOKENS', `step ${progress.step} has no token to learn from and was skipped`);
  if (progress.step < maxBadSteps || progress.skippedSteps < progress.step) return;
  throw new QdyloraError('BAD_DATA', {
    where: 'train',
    problem: `None of the first ${progress.step} steps had a token to learn from`,
    nextStep:
      'Look at the rows with `qdylora inspect --dataset`: it shows which tokens count, and whether ' +
      'max_seq_length leaves any.',
  });
}

function countBadStep(run: TrainingRun, { nonFinite, loss, gradNorm }: StepOutcome): void {
  const { progress, options, keeper } = run;
  const finding =
    nonFinite === 'state' ? 'the optimizer state is not finite' : `loss ${loss}, gradient norm ${gradNorm}`;
  run.warn('NON_FINITE_LOSS', `step ${progress.step} was skipped: ${finding}`);
  const badSteps = progress.badInARow;
  if (badSteps < options.maxBadSteps) return;
  progress.badInARow = 0; // a run that resumes from here may have as many again
  const isStateBad = nonFinite === 'state';
  // with a bad loss or gradient, weights and state are those of the last update, which a checkpoint keeps
  if (isStateBad) run.isSavable = false;
  throw new QdyloraError('NON_FINITE_LOSS', {
    where: 'train',
    problem:
      `${badSteps} steps in a row had a loss, gradient or optimizer state that is not finite ` +
      `(step ${progress.step}: ${finding})`,
    nextStep: isStateBad ? resumeEarlier(run) : 'Use a smaller learning_rate or max_grad_norm.',
    details: {
      step: progress.step,
      badSteps,
      // read late: the last step may be saved after this error is made
      get checkpoint() {
        return keeper?.newest ?? null;
      },
    },
  });
}

const resumeEarlier = ({ keeper }: TrainingRun): string =>
  keeper?.newest
    ? `Resume from an earlier checkpoint. The last good checkpoint is ${keeper.newest}.`
    : 'Begin the run again.';
