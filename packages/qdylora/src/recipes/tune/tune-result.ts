import type { TriedCandidate } from './halve-candidates.ts';
import type { RangePoint } from './suggest-rate.ts';

/** The outcome of a search for a learning rate: the content of `tune.json`. */
export interface TuneResult {
  readonly method: 'successive_halving' | 'range_test';
  readonly model: string;
  /** The chosen rate. */
  readonly learningRate: number;
  /** The chosen alpha; null where only the rate was tuned. */
  readonly loraAlpha: number | null;
  /** The rate that the run had. */
  readonly previousRate: number;
  /** The `lora_alpha` that the run had. */
  readonly previousAlpha: number;
  /** Rates of the grid below the chosen one; 0: it is the lowest. Null for a range test. */
  readonly ratesBelow: number | null;
  /** Rates of the grid above the chosen one; 0: it is the highest. Null for a range test. */
  readonly ratesAbove: number | null;
  /** Loss over the judged rows before any step, mean over the judged ranks. Null for a range test. */
  readonly startLoss: number | null;
  readonly judgedRows: number;
  readonly judgedRanks: readonly number[];
  /** All candidates by rising rate; none for a range test. */
  readonly candidates: readonly TriedCandidate[];
  /** Smoothed training loss by rising rate; none for successive halving. */
  readonly range: readonly RangePoint[];
  /** The first rate at which a range test diverged. */
  readonly divergence: number | null;
  /** Optimizer steps of all candidates. */
  readonly spentSteps: number;
  /** The most optimizer steps that all candidates together were allowed. */
  readonly budgetSteps: number;
  readonly seed: number;
  /** Sentences for the user. */
  readonly notes: readonly string[];
}

export interface TuneFiles {
  readonly json: string;
  readonly html: string;
  /** The run file with the chosen values; null where there is none. */
  readonly yaml: string | null;
}

/** What a search would do. */
export interface TunePlan {
  readonly method: TuneResult['method'];
  readonly model: string;
  readonly runSteps: number;
  readonly budgetSteps: number;
  readonly plannedSteps: number;
  readonly rates: readonly number[];
  readonly alphas: readonly number[];
  /** Candidates and the step that they reach, round by round; none for a range test. */
  readonly rounds: readonly { readonly candidates: number; readonly untilStep: number }[];
  readonly judgedRows: number;
  readonly judgedRanks: readonly number[];
}
