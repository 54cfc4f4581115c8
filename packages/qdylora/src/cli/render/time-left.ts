import type { StepEvent } from '@qdylora/trainer';
import type { PhaseEvent, ReadyEvent } from '../../recipes/run-folder/finetune-events.ts';
import { forwardShare, viewsBetween, viewsLeft } from '../../recipes/run/judging/evaluation-views.ts';
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
      return seconds + views * (pace.secondsPerView(viewsBetween(ready.config)) ?? forecastView(ready, rate));
    },
    duringEvaluation: pace.note,
  };
}

/** Seconds of a forward pass over the held-out rows, before one was measured. */
function forecastView({ config, data: { heldOut, report } }: ReadyEvent, trainedPerSecond: number): number {
  const rowTokens = report.tokens / Math.max(1, report.measuredRows - report.dropped);
  return (heldOut * rowTokens * forwardShare(config)) / trainedPerSecond;
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
