import type { StepEvent } from '@qdylora/trainer';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { lossText } from '../../report/number-text.ts';
import { bar, clockText } from './progress.ts';

/** What the line of a step shows besides its event. */
export interface StepFigures {
  /** Moving average of the losses: single steps differ by their rows and ranks. */
  readonly averageLoss: number;
  readonly secondsLeft: number;
}

/** Parts that a narrow terminal leaves out, in this order. */
const LEAST_NEEDED = ['memory', 'rate', 'lr', 'ranks', 'bar'] as const;

/**
 * `step 84/200 ▕████▏ avg loss 0.912 ranks 64+2 lr 1.8e-4 2,140 tok/s 688 MB 01:56 left`, or the part of it
 * that fits into `columns`. `Infinity` columns mean a file: without a bar.
 */
export function stepLine(event: StepEvent, figures: StepFigures, columns: number): string {
  const { step, totalSteps, ranks, learningRate, tokensPerSecond, residentBytes } = event;
  const parts = new Map<string, string>(
    Object.entries({
      count: `step ${String(step).padStart(String(totalSteps).length)}/${totalSteps}`,
      ...(columns < Infinity && { bar: bar(step / totalSteps) }),
      loss: `avg loss ${lossText(figures.averageLoss)}`,
      ...(ranks.length > 0 && { ranks: ranksText(ranks) }),
      lr: `lr ${learningRate.toExponential(1)}`,
      rate: `${rateText(tokensPerSecond)} tok/s`,
      memory: byteSizeText(residentBytes),
      left: `${clockText(figures.secondsLeft)} left`,
    }),
  );
  const line = (): string => [...parts.values()].join('  ');
  for (const name of LEAST_NEEDED) if (line().length >= columns) parts.delete(name);
  return line();
}

/** Ranks that are listed; more are counted. */
const MOST_LISTED = 3;

function ranksText(ranks: readonly number[]): string {
  if (ranks.length === 1) return `rank ${ranks[0]}`;
  return ranks.length > MOST_LISTED ? `${ranks.length} ranks` : `ranks ${ranks.join('+')}`;
}

const rateText = (rate: number): string =>
  rate < 100 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en-US');
