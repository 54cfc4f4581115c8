import { QdyloraError } from '@qdylora/contract';
import type { OpenedRun } from '../run/opened-run.ts';
import { lossText } from '../../report/number-text.ts';
import { halveCandidates, type SearchResult, type TriedCandidate } from './halve-candidates.ts';
import { candidateTrial, judgedRanks, openTrial, type TrialSetting } from './open-trial.ts';
import type { HalvingPlan } from './plan-halving.ts';
import { candidateAt, rateGrid, type GridOptions } from './rate-grid.ts';
import { trialSchedule } from './trial-schedule.ts';
import type { TuneResult } from './tune-result.ts';
import { budgetOf, planWithin, type SearchHooks, type TuneSettings } from './tune-settings.ts';

/**
 * Successive halving over a grid of rates around that of the run.
 *
 * @throws QdyloraError BAD_CONFIG for a budget that is too small; NON_FINITE_LOSS where every rate diverges
 */
export async function searchRates(
  setting: TrialSetting,
  settings: TuneSettings,
  { onProgress, notice }: SearchHooks,
): Promise<Omit<TuneResult, 'notes'>> {
  const { opened, judged } = setting;
  const { config, run, source } = opened;
  const gridOptions: GridOptions = { ...settings, ...config };
  const grid = rateGrid(gridOptions);
  const budgetSteps = budgetOf(run.totalSteps, settings);
  const plan = planWithin(grid.length, budgetSteps);
  const factorAt = factorsOf(opened, plan);
  const wideSteps = wideStepsOf(opened, plan);
  const startLoss = await lossOfStart(setting);
  let spentSteps = 0;
  const counting: TrialSetting = {
    ...setting,
    onStep: () => onProgress?.({ done: Math.min(++spentSteps, plan.steps), total: plan.steps }),
  };
  const search = await halveCandidates(grid, {
    plan,
    budget: budgetSteps,
    startLoss,
    neighbour: ({ exponent, loraAlpha }, direction) =>
      candidateAt(gridOptions, exponent + direction, loraAlpha),
    open: async (candidate) =>
      candidateTrial(
        await openTrial(counting, { ...candidate, wideSteps }),
        (step) => candidate.learningRate * factorAt(step),
      ),
  });
  const { best, tried } = search;
  if (!best) throw allDiverged(tried, startLoss);
  const { ratesBelow, ratesAbove } = distanceToEdges(best, tried);
  for (const note of notesOf(search, { ratesBelow, ratesAbove })) notice(note);
  return {
    method: 'successive_halving',
    model: source.name,
    learningRate: best.learningRate,
    loraAlpha: settings.alpha ? best.loraAlpha : null,
    previousRate: config.learningRate,
    previousAlpha: config.loraAlpha,
    ratesBelow,
    ratesAbove,
    startLoss,
    judgedRows: judged.length,
    judgedRanks: judgedRanks(run.adapted!.ranks.ranks),
    candidates: tried,
    range: [],
    divergence: null,
    spentSteps: search.spentSteps,
    budgetSteps,
    seed: config.seed,
  };
}

/** The warm-up of the run, at most half of the first round: later steps compare the rates themselves. */
const warmupOf = (runWarmup: number, firstRound: number): number =>
  Math.min(runWarmup, Math.floor(firstRound / 2));

/** The factors on a candidate's rate, by step. */
const factorsOf = ({ config, run }: OpenedRun, { rounds }: HalvingPlan): ((step: number) => number) => {
  const { schedule } = run.training;
  return trialSchedule(
    { schedule, totalSteps: run.totalSteps, learningRate: config.learningRate },
    { steps: rounds.at(-1)!.untilStep, warmupSteps: warmupOf(schedule.warmupSteps, rounds[0].untilStep) },
  );
};

/** A trial of the last round has the phases of the run in the same proportion. */
const wideStepsOf = ({ run: { training, totalSteps } }: OpenedRun, { rounds }: HalvingPlan): number =>
  Math.round(((training.wideSteps ?? 0) / totalSteps) * rounds.at(-1)!.untilStep);

async function lossOfStart(setting: TrialSetting): Promise<number> {
  using trial = await openTrial(setting, { ...setting.opened.config, wideSteps: 0 });
  return await trial.judge();
}

/** How many rates were tried below and above the chosen one. */
function distanceToEdges(
  { exponent }: TriedCandidate,
  tried: readonly TriedCandidate[],
): { ratesBelow: number; ratesAbove: number } {
  const exponents = [...new Set(tried.map((candidate) => candidate.exponent))];
  return {
    ratesBelow: exponents.filter((other) => other < exponent).length,
    ratesAbove: exponents.filter((other) => other > exponent).length,
  };
}

function notesOf(
  { extensions, tried }: SearchResult,
  { ratesBelow, ratesAbove }: { readonly ratesBelow: number; readonly ratesAbove: number },
): string[] {
  const added =
    extensions.length === 0
      ? []
      : [
          `The best rate was at the edge of the grid, which was extended to ` +
            `${extensions.map(({ learningRate }) => learningRate.toExponential()).join(', ')}.`,
        ];
  const edge = ratesAbove === 0 ? 'upper' : ratesBelow === 0 ? 'lower' : null;
  const atEdge =
    edge === null || tried.length === 1
      ? []
      : [
          `The chosen rate is at the ${edge} edge of the grid, and the budget has no room to extend it: a ` +
            `${edge === 'upper' ? 'higher' : 'lower'} rate may be better. Run tune again from it.`,
        ];
  return [...added, ...atEdge];
}

function allDiverged(tried: readonly TriedCandidate[], startLoss: number): QdyloraError {
  const rates = tried.map(({ learningRate }) => learningRate);
  return new QdyloraError('NON_FINITE_LOSS', {
    where: 'tune',
    problem:
      `Every rate from ${rates[0].toExponential()} to ${rates.at(-1)!.toExponential()} diverged: the ` +
      `held-out loss was never at or below ${lossText(startLoss)}, that of the start.`,
    nextStep: 'Lower learning_rate by a factor of ten, and run tune again.',
    details: { rates },
  });
}
