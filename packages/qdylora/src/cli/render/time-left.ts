import type { StepEvent } from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';
import type { PhaseEvent, ReadyEvent } from '../../recipes/run-folder/finetune-events.ts';
import { movingAverage } from './moving-average.ts';

/** Weight of the newest step in the average time of a step. */
const NEWEST_WEIGHT = 0.1;

/** Forecasts the time left of a run from its steps and, separately, its evaluations. */
export interface TimeLeft {
  /** Notes what will be evaluated. */
  begin(event: ReadyEvent): void;
  /** @returns seconds until the end of the run, after this step */
  afterStep(event: StepEvent): number;
  /** Measures how long evaluations take. */
  duringEvaluation(event: PhaseEvent): void;
}

/** @param now seconds of a monotonic clock */
export function timeLeft(now: () => number): TimeLeft {
  const averageSeconds = movingAverage(NEWEST_WEIGHT);
  const averageRate = movingAverage(NEWEST_WEIGHT);
  const pace = evaluationPace(now);
  let ready: ReadyEvent | null = null;
  return {
    begin: (event) => {
      ready = event;
    },
    afterStep({ step, totalSteps, stepSeconds, tokensPerSecond }) {
      pace.end();
      const seconds = averageSeconds(stepSeconds) * (totalSteps - step);
      const rate = averageRate(tokensPerSecond);
      if (!ready || ready.data.heldOut === 0) return seconds;
      const views = viewsLeft(ready.config, step, totalSteps);
      return (
        seconds +
        views *
          (pace.secondsPerView(ready.config.evalRanks?.length ?? viewsOf(ready.config)) ??
            forecastView(ready, rate))
      );
    },
    duringEvaluation: pace.note,
  };
}

/** Views of the model that a full evaluation measures: every rank and the base, or the whole model. */
const viewsOf = ({ ranks }: RunConfig): number => (ranks ? ranks.length + 1 : 1);

/** Views that the evaluations after `step` measure. */
function viewsLeft(config: RunConfig, step: number, totalSteps: number): number {
  const { evalSteps, evalRanks } = config;
  const atEnd = viewsOf(config);
  if (evalSteps === 0) return atEnd;
  const between = evalRanks?.length ?? atEnd;
  const last = evalRanks ? totalSteps : totalSteps - 1;
  const evaluations = Math.floor(last / evalSteps) - Math.floor((step - 1) / evalSteps);
  return Math.max(0, evaluations) * between + atEnd;
}

/** Seconds of a forward pass over the held-out rows, before one was measured. */
function forecastView({ config, data: { heldOut, report } }: ReadyEvent, trainedPerSecond: number): number {
  const rowTokens = report.tokens / Math.max(1, report.measuredRows - report.dropped);
  // backward costs two forward passes, recomputing one more
  const forwardShare = config.gradientCheckpointing === false ? 1 / 3 : 1 / 4;
  return (heldOut * rowTokens * forwardShare) / trainedPerSecond;
}

/** Measures the seconds of an evaluation by its progress. */
function evaluationPace(now: () => number) {
  let begun: { readonly seconds: number; readonly done: number } | null = null;
  let secondsOfAll: number | null = null;
  return {
    note({ done, total }: PhaseEvent): void {
      if (done === undefined || total === undefined) return;
      begun ??= { seconds: now(), done };
      if (done > begun.done) secondsOfAll = ((now() - begun.seconds) / (done - begun.done)) * total;
    },
    end: (): void => {
      begun = null;
    },
    /** Null before the first evaluation. `views`: of one evaluation. */
    secondsPerView: (views: number): number | null => secondsOfAll && secondsOfAll / views,
  };
}
