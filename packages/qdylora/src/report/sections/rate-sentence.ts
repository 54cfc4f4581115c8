import type { RateReport, TunedEdge } from '../../recipes/outputs/rate-report.ts';
import { countOf } from '../number-text.ts';

/** A rise beyond the difference between rows, which is about 10 % on GSM8K with 8 rows a step. */
const UNSTABLE_RISE = 0.25;

/** How near the learning rate was to the edge, for a reader. */
export function rateSentence(rate: RateReport): string {
  const { learningRate, defaultRate, ratio } = rate;
  const place =
    learningRate === defaultRate
      ? `Learning rate ${rateText(learningRate)}, the default for this model.`
      : `Learning rate ${rateText(learningRate)}, ${timesText(ratio)} the default for this model ` +
        `(${rateText(defaultRate)}).`;
  return [place, clippedText(rate), riseText(rate), edgeText(rate.tuned, learningRate)]
    .filter(Boolean)
    .join(' ');
}

/** `2e-3` */
const rateText = (rate: number): string => Number(rate.toPrecision(3)).toExponential();

const timesText = (ratio: number): string => `${Number(ratio.toPrecision(2))} times`;

const percentText = (share: number): string =>
  share > 0 && share < 0.01 ? 'less than 1 %' : `${Math.round(100 * share)} %`;

const mostText = (share: number): string =>
  share < 0.01 ? '1 % or more' : `more than ${percentText(share)}`;

const clippedText = ({ clippedShare }: RateReport): string =>
  clippedShare === null ? '' : `The gradient was clipped in ${percentText(clippedShare)} of the steps.`;

function riseText({ largestRise }: RateReport): string {
  if (!largestRise) return '';
  const { share, step } = largestRise;
  return share >= UNSTABLE_RISE
    ? `The smoothed loss rose to ${percentText(share)} above its lowest value at step ${step}: the rate is ` +
        'too near the edge.'
    : `The smoothed loss was never ${mostText(share)} above its lowest value.`;
}

function edgeText(tuned: TunedEdge | null, learningRate: number): string {
  if (!tuned) return 'The rate at which training diverges was not measured; qdylora tune looks for it.';
  const { highestStable, lowestDiverged, steps } = tuned;
  const within = steps === null ? '' : ` within ${countOf(steps, 'step')}`;
  if (lowestDiverged !== null && learningRate >= lowestDiverged)
    return `In qdylora tune, ${rateText(lowestDiverged)} diverged already.`;
  const diverged =
    lowestDiverged === null
      ? 'and no higher rate was tried'
      : `and ${rateText(lowestDiverged)}, ${timesText(lowestDiverged / learningRate)} this rate, did`;
  return highestStable === null
    ? `In qdylora tune, ${rateText(lowestDiverged!)} diverged, the lowest rate that was tried.`
    : `In qdylora tune, ${rateText(highestStable)} did not diverge${within}, ${diverged}.`;
}
