import { QdyloraError } from '@qdylora/contract';
import { openTrial, type TrialSetting } from './open-trial.ts';
import { hasDiverged, rangeRates, suggestRate, type RangePoint } from './suggest-rate.ts';
import type { TuneResult } from './tune-result.ts';
import { budgetOf, rangeStepsWithin, type SearchHooks, type TuneSettings } from './tune-settings.ts';

/** The range of a test around the rate of the run: two powers of ten on each side. */
const SPAN = 100;

/** Digits of a suggested rate: the test is not exacter than that. */
const DIGITS = 2;

/**
 * Smith's range test around the rate of the run.
 *
 * @throws QdyloraError BAD_CONFIG for a budget that is too small; NON_FINITE_LOSS where the loss never falls
 */
export async function testRange(
  setting: TrialSetting,
  settings: TuneSettings,
  { onProgress, notice }: SearchHooks,
): Promise<Omit<TuneResult, 'notes'>> {
  const { config, run, source } = setting.opened;
  const budgetSteps = budgetOf(run.totalSteps, settings);
  const total = rangeStepsWithin(budgetSteps);
  const rates = rangeRates(config.learningRate / SPAN, config.learningRate * SPAN, total);
  using trial = await openTrial(setting, { ...config, wideSteps: run.training.wideSteps ?? 0 });
  const points: RangePoint[] = [];
  for (const [step, learningRate] of rates.entries()) {
    const { loss, status } = await trial.takeStep(step, learningRate);
    if (status !== 'no_tokens') points.push({ learningRate, loss });
    onProgress?.({ done: step + 1, total });
    if (hasDiverged(points)) break;
  }
  onProgress?.({ done: total, total });
  const suggestion = suggestRate(points);
  if (!suggestion)
    throw new QdyloraError('NON_FINITE_LOSS', {
      where: 'tune',
      problem:
        `The loss never fell between the rates ${rates[0].toExponential(1)} and ` +
        `${rates.at(-1)!.toExponential(1)}.`,
      nextStep: 'Change learning_rate by a factor of a hundred, or run tune without --range-test.',
    });
  const { steepest, divergence } = suggestion;
  notice(
    `The loss falls fastest at ${steepest.toExponential(1)}` +
      (divergence === null
        ? ', and does not diverge in the range.'
        : ` and diverges at ${divergence.toExponential(1)}.`),
  );
  return {
    method: 'range_test',
    model: source.name,
    learningRate: Number(suggestion.learningRate.toPrecision(DIGITS)),
    loraAlpha: null,
    previousRate: config.learningRate,
    previousAlpha: config.loraAlpha,
    ratesBelow: null,
    ratesAbove: null,
    startLoss: null,
    judgedRows: 0,
    judgedRanks: [],
    candidates: [],
    range: suggestion.smoothed,
    divergence,
    spentSteps: points.length,
    budgetSteps,
    seed: config.seed,
  };
}
