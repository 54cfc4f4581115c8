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
 * - `separate`: an adapter of its own for every rank. Each gets only the rows that a nested run gives to its
 *   rank, at the same steps: it tells the effect of few tokens from that of shared rows.
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
  /** Share of the divergence from the largest rank in the loss of the student; 0: none. */
  readonly distillation: number;
  /** With `drawn` a step has 4 different rows, each at both ranks, in place of 8. */
  readonly distillationStudent: DistillationStudent;
  readonly distillationTopK: number;
  /** Learning rate of B over that of A. */
  readonly bRatio: number;
  readonly rankRates: RankRates;
  /** Factors on the rates of the rows of A and B that each rank adds, besides `rankRates`; null: 1. */
  readonly rowFactors: readonly number[] | null;
  /** Ranks at which the trained adapter is measured; null: all of its ranks. */
  readonly evalRanks: readonly number[] | null;
  /** Where the adapter starts. */
  readonly init: 'kaiming' | 'gradient' | 'activations';
  /** Trains slices further alone after the run, in each of these ways; null: does not. */
  readonly finish: Finish | readonly Finish[] | null;
  /** Also measures adapters of the bytes of these ranks, sorted by energy: uniform and per layer. */
  readonly budgetRanks: readonly number[];
  /** Storage of the base; `none`: as in the checkpoint (16 bits). */
  readonly quantization: 'nf4' | 'none';
  /** Quantization levels that the run trains at, in bits a weight. */
  readonly levels: readonly number[];
  readonly levelSchedule: LevelSchedule;
  /**
   * Levels at which the trained adapter is also measured, at `evalRanks`, beside the base at that level: the
   * result's `byLevel`. They may be other levels than those of training.
   */
  readonly evalLevels: readonly number[];
  /** Norm of A's rows under the other starts; null: as under `kaiming`. */
  readonly initRowNorm: number | null;
  /** Rows that a step at rank b trains. */
  readonly updateRule: UpdateRule;
  /** What changes the gradients before AdamW. */
  readonly preconditioner: 'none' | 'prefix';
  /** Ranks of a nested run that have rows of their own: small ones, beside an adapter for all others. */
  readonly privateRanks: readonly number[];
  /** Learning rate of the rows of `privateRanks` over that of the run. */
  readonly privateRate: number;
  /** Share of the steps that train the largest rank alone; after them the rows are sorted. */
  readonly wideShare: number;
  /** Rates of B's rows during these steps. */
  readonly wideRates: WideRates;
  /** Whether the schedule begins again after the steps of `wideShare`, with a warm-up. */
  readonly restart: boolean;
  /** Also measures the trained adapter cut at smaller ranks in these ways. */
  readonly cuts: readonly Cut[];
  /** Trains the largest rank for most of the steps, and cuts of it further alone for the others. */
  readonly squeeze: Squeeze | null;
}

/**
 * How an adapter of the largest rank R is cut at rank b.
 * - `prefix`: its first b rows, with the scale that they had at rank R.
 * - `energy`: the best approximation of B·A of rank b (Eckart and Young): LoRA-Squeeze "Post" (arXiv
 *   2602.10993).
 * - `moments`: the best one for the inputs of the layer (`sortByMoments`).
 */
export type Cut = 'prefix' | 'energy' | 'moments';

/**
 * LoRA-Squeeze "Cont" (arXiv 2602.10993): a cut at rank b is trained further alone, on the rows that follow.
 * The steps of both phases together are those of the job.
 */
export interface Squeeze {
  readonly cut: Cut;
  readonly ranks: readonly number[];
  /** Steps of the second phase, as a share of those of the job. */
  readonly share: number;
  /** Peak of the second phase. */
  readonly learningRate: number;
}

/** How slices go on: each rank alone, once for each share of the run's steps, with a schedule of its own. */
export interface Finish {
  readonly ranks: readonly number[];
  /** Steps as shares of those of the run. */
  readonly shares: readonly number[];
  readonly learningRate: number;
  /** The rates of B's rows; several: each slice is finished with each. `nested` by default. */
  readonly rates?: FinishRates | readonly FinishRates[];
  /** `zero` by default. */
  readonly moments?: FinishMoments;
}

/** Moments of AdamW that a slice starts with: 0, or those that its rows have at the end of the nested run. */
export type FinishMoments = 'zero' | 'kept';

/**
 * Factors on the learning rate of B's rows while a slice is trained alone.
 * - `nested`: each row keeps the factor that it had in the nested run.
 * - `dedicated`: all rows have that of a dedicated run of the rank: under the scale alpha 1/√rank.
 */
export type FinishRates = 'nested' | 'dedicated';

/** A file of jobs: what they are for, settings that all share, and the settings of each. */
interface JobFile {
  readonly about: string;
  readonly shared: Partial<Job>;
  readonly jobs: readonly (Partial<Job> & { readonly id: string })[];
}

/** The settings of dynamic-rank runs so far: 8 rows a step, sandwich, alpha/√b, alpha 8. */
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

/** First steps that train the largest rank alone. */
export const wideStepsOf = ({ wideShare, steps }: Pick<Job, 'wideShare' | 'steps'>): number =>
  Math.round(wideShare * steps);

/** All jobs of a file, in order. */
export function readJobs(path: string): Job[] {
  const { shared, jobs } = JSON.parse(readFileSync(path, 'utf8')) as JobFile;
  return jobs.map((job) => ({ ...DEFAULTS, ...shared, ...job }));
}
