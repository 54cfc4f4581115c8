import { createRng } from '@qdylora/contract';
import type { Example } from '@qdylora/data';
import { perplexity, ratioEstimate } from '@qdylora/eval';
import { attachDyLora, type AdapterState } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import {
  createPassRecorder,
  levelsOfStep,
  passesOfStep,
  runStep,
  sortAdapterRows,
  startOptimizer,
  type StepOutcome,
} from '@qdylora/trainer';
import { adapterConfigOf, optimizerOf, preconditionerOf, samplerOf } from '../run/assemble-run.ts';
import { JUDGED_TOKENS } from '../run/judging/judged-tokens.ts';
import type { OpenedRun } from '../run/opened-run.ts';
import { gradientSumOf } from '../run/gradient-sum-of.ts';
import { unscaledDtype } from '../run/unscaled-dtype.ts';
import type { Candidate, Trial } from './halve-candidates.ts';

/** What all trials share: the frozen base, the rows, and the adapter that each starts from. */
export interface TrialSetting {
  readonly opened: OpenedRun;
  /** The adapter before any step. */
  readonly start: AdapterState;
  /** Rows that no trial trains on. */
  readonly judged: readonly Example[];
  readonly signal?: AbortSignal;
  /** Called after each optimizer step. */
  readonly onStep?: (outcome: StepOutcome) => void;
}

/** How a trial trains. */
export interface TrialOptions extends Pick<Candidate, 'learningRate' | 'loraAlpha'> {
  /** Steps that train the largest rank alone, before the rows are sorted, as in a run; 0: none. */
  readonly wideSteps: number;
}

/** A trial that a range test steps by hand, each step at its own rate. */
export interface SteppedTrial extends Disposable {
  /** Takes optimizer step `step`; steps follow one another from 0 on. */
  takeStep(step: number, learningRate: number): Promise<StepOutcome>;
  /**
   * Mean over the judged ranks of the loss over the judged rows. As long as the largest rank trains alone,
   * the loss of that one: the others are not trained yet.
   */
  judge(): Promise<number>;
  dispose(): void;
}

/** Attaches a copy of the start to the shared base, with an optimizer of its own. */
export async function openTrial(
  setting: TrialSetting,
  { learningRate, loraAlpha, wideSteps }: TrialOptions,
): Promise<SteppedTrial> {
  const { opened, judged, signal, onStep } = setting;
  const config = { ...opened.config, learningRate, loraAlpha };
  const { model, training } = opened.run;
  const { adapted, optimizer, dispose: disposeStart } = await copyOfStart(setting, config);
  const preconditioner = preconditionerOf(adapted, config);
  const sampler = samplerOf(adapted, config);
  const recorder = createPassRecorder(model.backend);
  const dropout = createRng(config.seed).named('dropout');
  const task = perplexity(judged, { tokensPerBatch: JUDGED_TOKENS });
  const { ranks, maxRank } = adapted.ranks;
  let isSorted = wideSteps === 0;
  const dispose = (): void => {
    recorder.dispose();
    disposeStart();
  };
  return {
    async takeStep(step, rate) {
      if (step >= wideSteps && !isSorted) {
        await sortAdapterRows(adapted, optimizer);
        isSorted = true;
      }
      const isWide = !isSorted;
      const batches = training.batches.batchAt(step);
      const plan = { ...levelsOfStep(training.levels, step), isWide };
      const { passes, rows } = passesOfStep(step, batches, { model: adapted, sampler }, plan);
      const outcome = await runStep(passes, optimizer, {
        learningRate: rate,
        maxGradNorm: training.maxGradNorm,
        rows,
        isWide,
        preconditioner,
        gradientSum: gradientSumOf(config, null),
        computeDtype: unscaledDtype(config.computeDtype),
        recompute: training.recompute,
        offload: training.offload,
        signal,
        recorder,
        dropout: { rng: dropout, step },
      });
      onStep?.(outcome);
      return outcome;
    },
    async judge() {
      recorder.release();
      const views = (isSorted ? judgedRanks(ranks) : [maxRank]).map((rank) =>
        adapted.atRank(rank, { level: training.levels?.anchor }),
      );
      const losses = await task.measure(views, { computeDtype: config.computeDtype, signal });
      return losses.reduce((sum, one) => sum + ratioEstimate(one).mean, 0) / losses.length;
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** A new adapter with the weights of the start, and an optimizer with the moments of the run. */
async function copyOfStart({ opened, start }: TrialSetting, config: OpenedRun['config']) {
  const { model } = opened.run;
  const adapted = attachDyLora<CausalLm>(model, {
    ...adapterConfigOf(config),
    targetModules: start.layers.map(({ name }) => name),
  });
  const optimizer = optimizerOf({ model, adapted }, config);
  const dispose = (): void => {
    optimizer.dispose();
    for (const { view } of adapted.parameters()) model.backend.memory.release(view);
  };
  try {
    await adapted.load({ ...start, alpha: config.loraAlpha });
    if (config.optimizerState !== null) {
      optimizer.prepare(model.backend);
      startOptimizer(optimizer, config.optimizerState);
    }
  } catch (error) {
    dispose();
    throw error;
  }
  return { adapted, optimizer, dispose };
}

/** The trial of a candidate: `trial` at `rateAt(step)`. */
export function candidateTrial(trial: SteppedTrial, rateAt: (step: number) => number): Trial {
  let done = 0;
  return {
    async trainTo(step) {
      for (; done < step; done++) {
        const { status } = await trial.takeStep(done, rateAt(done));
        if (status === 'non_finite') return { steps: done + 1, loss: NaN };
      }
      return { steps: done, loss: await trial.judge() };
    },
    dispose: trial.dispose,
  };
}

/** The smallest, the middle and the largest rank: enough to compare rates, and cheaper than all. */
export const judgedRanks = (ranks: readonly number[]): number[] => [
  ...new Set([ranks[0], ranks[Math.floor((ranks.length - 1) / 2)], ranks.at(-1)!]),
];
