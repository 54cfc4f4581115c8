import { readFileSync } from 'node:fs';
import type { RankDistribution, RankScaling, RankSchedule } from '@qdylora/lora-dynamic';
import type { RankRates } from '@qdylora/trainer';

/**
 * One training run of an experiment, and the held-out loss of its ranks.
 * - `nested`: one adapter for all ranks, as `qdylora train` trains it.
 * - `dedicated`: an ordinary adapter of one rank.
 * - `separate`: an adapter of its own for every rank. Each gets only the rows that a nested run gives to its
 *   rank, at the same steps: it tells the effect of few tokens from that of shared rows.
 */
export interface Job {
  readonly id: string;
  readonly kind: 'nested' | 'dedicated' | 'separate';
  readonly ranks: readonly number[];
  readonly learningRate: number;
  readonly steps: number;
  readonly seed: number;
  readonly alpha: number;
  readonly scaling: RankScaling;
  readonly schedule: RankSchedule;
  readonly distribution: RankDistribution;
  /** Learning rate of B over that of A. */
  readonly bRatio: number;
  readonly rankRates: RankRates;
  /** Where the adapter starts. */
  readonly init: 'kaiming' | 'gradient' | 'activations';
  /** Trains slices further alone after the run; null: does not. */
  readonly finish: Finish | null;
  /** Also measures adapters of the bytes of these ranks, sorted by energy: uniform and per layer. */
  readonly budgetRanks: readonly number[];
  /** Norm of A's rows under the other starts; null: as under `kaiming`. */
  readonly initRowNorm: number | null;
}

/** How slices go on: each rank alone, once for each share of the run's steps, with a schedule of its own. */
export interface Finish {
  readonly ranks: readonly number[];
  /** Steps as shares of those of the run. */
  readonly shares: readonly number[];
  readonly learningRate: number;
  /** The rates of B's rows; several: each slice is finished with each. `nested` by default. */
  readonly rates?: FinishRates | readonly FinishRates[];
}

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
const DEFAULTS = {
  kind: 'nested',
  ranks: [1, 2, 4, 8, 16, 32, 64],
  learningRate: 1e-3,
  steps: 150,
  seed: 7,
  alpha: 8,
  scaling: 'sqrt',
  schedule: 'sandwich',
  distribution: 'uniform',
  bRatio: 1,
  rankRates: 'uniform',
  init: 'kaiming',
  finish: null,
  budgetRanks: [],
  initRowNorm: null,
} as const satisfies Omit<Job, 'id'>;

/** All jobs of a file, in order. */
export function readJobs(path: string): Job[] {
  const { shared, jobs } = JSON.parse(readFileSync(path, 'utf8')) as JobFile;
  return jobs.map((job) => ({ ...DEFAULTS, ...shared, ...job }));
}
