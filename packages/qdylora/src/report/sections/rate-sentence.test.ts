import { expect, it } from 'vitest';
import type { RateReport } from '../../recipes/outputs/rate-report.ts';
import { rateSentence } from './rate-sentence.ts';

const rate: RateReport = {
  learningRate: 2e-3,
  defaultRate: 1e-3,
  ratio: 2,
  clippedShare: 0.004,
  largestRise: { share: 0.04, step: 9 },
  tuned: { method: 'successive_halving', highestStable: 4e-3, steps: 24, lowestDiverged: 8e-3 },
};

it.each<[Partial<RateReport>, string]>([
  [
    {},
    'Learning rate 2e-3, 2 times the default for this model (1e-3). The gradient was clipped in less ' +
      'than 1 % of the steps. The smoothed loss was never more than 4 % above its lowest value. In qdylora ' +
      'tune, 4e-3 did not diverge within 24 steps, and 8e-3, 4 times this rate, did.',
  ],
  [
    { learningRate: 1e-3, clippedShare: null, largestRise: { share: 0.31, step: 40 }, tuned: null },
    'Learning rate 1e-3, the default for this model. The smoothed loss rose to 31 % above its lowest value ' +
      'at step 40: the rate is too near the edge. The rate at which training diverges was not measured; ' +
      'qdylora tune looks for it.',
  ],
  [
    { clippedShare: null, largestRise: { share: 0.004, step: 9 }, tuned: null },
    'Learning rate 2e-3, 2 times the default for this model (1e-3). The smoothed loss was never 1 % or ' +
      'more above its lowest value. The rate at which training diverges was not measured; qdylora tune ' +
      'looks for it.',
  ],
  [
    {
      largestRise: null,
      clippedShare: 0,
      tuned: { method: 'range_test', highestStable: 5e-3, steps: null, lowestDiverged: null },
    },
    'Learning rate 2e-3, 2 times the default for this model (1e-3). The gradient was clipped in 0 % of the ' +
      'steps. In qdylora tune, 5e-3 did not diverge, and no higher rate was tried.',
  ],
  [
    { clippedShare: null, largestRise: null, tuned: { ...rate.tuned!, lowestDiverged: 2e-3 } },
    'Learning rate 2e-3, 2 times the default for this model (1e-3). In qdylora tune, 2e-3 diverged already.',
  ],
])('a report with %j says it in words', (changes, text) => {
  expect(rateSentence({ ...rate, ...changes })).toBe(text);
});
