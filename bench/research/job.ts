import { readFileSync } from 'node:fs';
import type {
  DistillationStudent,
  LevelSchedule,
  RankDistribution,
  RankScaling,
  RankSchedule,
  UpdateRule,
} from '@qdylora/lora-dynamic';
import type { RankRates, WideRates } from '@qdylora/trainer';

/**
 * One training run of an experiment, and the held-out loss of its ranks.
 * - `nested`: one adapter for all ranks, as `qdylora train` trains it.
 * - `dedicated`: an ordinary adapter of one rank.
 * - `separate`: one adapter per rank, which gets only the examples that a nested run gives to this rank, at
 *   the same steps. It separates the effect of fewer tokens from that of sharing adapter rows.
 * - `matryoshka`: MatryoshkaLoRA, one forward pass for all ranks (`trainMatryoshka`).
 */
export interface Job {
  readonly id: string;
  readonly kind: 'nested' | 'dedicated' | 'separate' | 'matryoshka';
  readonly ranks: readonly number[];
  readonly learningRate: number;
  readonly steps: number;
  readonly seed: number;
  readonly alpha: number;
  readonly scaling: RankScaling;
  readonly schedule: RankSchedule;
  readonly distribution: RankDistribution;
  /** Parts of a micro batch; null: the sampler's default. */
  readonly segments: number | null;
  /** Weight of the divergence from the largest rank in the loss of the student; 0: no distillation. */
  readonly distillation: number;
  /** Student of the distillation. With `drawn`, a step has 4 rows, each at two ranks, instead of 8. */
  readonly distillationStudent: DistillationStudent;
  readonly distillationTopK: number;
  /** Weight of the loss of passes at each rank; null: 1. */
  readonly rankLossWeights: readonly number[] | null;
  /** Learning rate of B over that of A. */
  readonly bRatio: number;
  readonly rankRates: RankRates;
  /** Factors on the rates of the rows of A and B that each rank adds, besides `rankRates`; null: 1. */
  readonly rowFactors: readonly number[] | null;
  /** Ranks at which the trained adapter is measured; null: all of its ranks. */
  readonly evalRanks: readonly number[] | null;
  /** Where the adapter starts. */
  readonly init: 'kaiming' | 'gradient' | 'activations';
  /** Ways to train slices further after the run, each rank alone; null: none. */
  readonly finish: Finish | readonly Finish[] | null;
  /** Ranks whose bytes are budgets: adapters cut to each budget are also measured (`measureBudgets`). */
  readonly budgetRanks: readonly number[];
  /** Storage of the base; `none`: as in the checkpoint (16 bits). */
  readonly quantization: 'nf4' | 'none';
  /** Quantization levels that the run trains at, in bits per weight. */
  readonly levels: readonly number[];
  readonly levelSchedule: LevelSchedule;
  /**
   * Levels at which the adapter (at `evalRanks`) and the base are also measured: `byLevel` of the result.
   * They may differ from the levels of training.
   */
  readonly evalLevels: readonly number[];
  /** Norm of A's rows with the starts `gradient` and `activations`; null: as with `kaiming`. */
  readonly initRowNorm: number | null;
  /** Rows that a step at rank b trains. */
  readonly updateRule: UpdateRule;
  /** What changes the gradients before AdamW. */
  readonly preconditioner: 'none' | 'prefix';
  /** Ranks of a nested run that have an adapter of their own. The other ranks share a nested one. */
  readonly privateRanks: readonly number[];
  /** Learning rate of the adapters of `privateRanks` over that of the run. */
  readonly privateRate: number;
  /** Share of the steps, at the start, that train the largest rank alone. Then the rows are sorted. */
  readonly wideShare: number;
  /** Learning rates of B's rows during these steps. */
  readonly wideRates: WideRates;
  /** Whether the learning rate schedule restarts after the steps of `wideShare`, with a warm-up. */
  readonly restart: boolean;
  /** Ways to cut the trained adapter at smaller ranks. Each cut is measured. */
  readonly cuts: readonly Cut[];
  /** Second phase: the last steps train cuts of the adapter further, each rank alone; null: none. */
  readonly squeeze: Squeeze | null;
}

/**
 * How an adapter of the largest rank R is cut at rank b.
 * - `prefix`: its first b rows, with the scale that they had at rank R.
 * - `energy`: the best approximation of B·A at rank b (Eckart and Young), as in LoRA-Squeeze "Post" (arXiv
 *   2602.10993).
 * - `moments`: the best approximation of the layer's outputs on its inputs (`sortByMoments`).
 */
export type Cut = 'prefix' | 'energy' | 'moments';

/**
 * LoRA-Squeeze "Cont" (arXiv 2602.10993): after the first phase, the cut at each rank is trained further
 * alone, on the examples that follow. `steps` of the job counts both phases.
 */
export interface Squeeze {
  readonly cut: Cut;
  readonly ranks: readonly number[];
  /** Steps of the second phase, as a share of those of the job. */
  readonly share: number;
  /** Peak learning rate of the second phase. */
  readonly learningRate: number;
}

/**
 * How slices are trained further: each rank alone, once per share of the run's steps, with its own learning
 * rate schedule.
 */
export interface Finish {
  readonly ranks: readonly number[];
  /** Numbers of steps, as shares of the run's steps. */
  readonly shares: readonly number[];
  readonly learningRate: number;
  /** Learning rates of B's rows. With several, each slice is trained once with each. `nested` by default. */
  readonly rates?: FinishRates | readonly FinishRates[];
  /** `zero` by default. */
  readonly moments?: FinishMoments;
}

/** AdamW moments that a slice starts with: 0, or those of its rows at the end of the nested run. */
export type FinishMoments = 'zero' | 'kept';

/**
 * Factors on the learning rate of B's rows while a slice is trained alone.
 * - `nested`: each row keeps the factor that it had in the nested run.
 * - `dedicated`: all rows have the factor of a dedicated run: 1/√rank if the scale is flat, otherwise 1.
 */
export type FinishRates = 'nested' | 'dedicated';

/** A file of jobs: what they are for, settings that all share, and the settings of each. */
interface JobFile {
  readonly about: string;
  readonly shared: Partial<Job>;
  readonly jobs: readonly (Partial<Job> & { readonly id: string })[];
}

/**
 * Settings of jobs that do not name them: the schedule `sandwich`, the scale alpha/√b with alpha 8. These are
 * not the defaults of `qdylora train`.
 */
export const DEFAULTS = {
  kind: 'nested',
  ranks: [1, 2, 4, 8, 16, 32, 64],
  learningRate: 1e-3,
  steps: 150,
  seed: 7,
  alpha: 8,
  scaling: 'sqrt',
  schedule: 'sandwich',
  distribution: 'uniform',
  segments: null,
  distillation: 0,
  distillationStudent: 'drawn',
  distillationTopK: 64,
  rankLossWeights: null,
  bRatio: 1,
  rankRates: 'uniform',
  rowFactors: null,
  evalRanks: null,
  init: 'kaiming',
  finish: null,
  budgetRanks: [],
  quantization: 'nf4',
  levels: [4],
  levelSchedule: 'sampled',
  evalLevels: [],
  initRowNorm: null,
  updateRule: 'prefix',
  preconditioner: 'none',
  privateRanks: [],
  privateRate: 1,
  wideShare: 0,
  wideRates: 'nested',
  restart: false,
  cuts: [],
  squeeze: null,
} as const satisfies Omit<Job, 'id'>;

/** Number of steps, at the start of a run of `steps`, that train the largest rank alone. */
export const wideStepsOf = ({ wideShare }: Job, steps: number): number => Math.round(wideShare * steps);

/** All jobs of a file, in order. */
export function readJobs(path: string): Job[] {
  const { shared, jobs } = JSON.parse(readFileSync(path, 'utf8')) as JobFile;
  return jobs.map((job) => ({ ...DEFAULTS, ...shared, ...job }));
}
