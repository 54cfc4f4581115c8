import { powersOfTwoUpTo, slicedAlpha, type RankScaling } from '@qdylora/lora-dynamic';
import {
  assertAdapterStartFits,
  assertDistillationFits,
  assertFullTraining,
  assertLevelsFit,
  assertOffloadFits,
  assertOptimizerKeys,
  assertRankListsFit,
  assertWorkerRanksFit,
  obstacleToWideSteps,
  refusedValue,
} from './values/check-combinations.ts';
import { assertEarlyStoppingKeys, assertEvaluationFits } from './values/check-evaluation.ts';
import { assertRowKeysFit } from './values/check-row-keys.ts';
import { checkValues, type OutputOf } from './values/check-values.ts';
import type { ExplicitValues } from './explicit-values.ts';
import { KEYS, type KeyName } from './keys.ts';
import type { Method } from './keys/model-keys.ts';

export type { RunOptions } from './run-options.ts';
/** A run with every key resolved: presets applied, ranks listed. Resolving it again changes nothing. */
export type RunConfig = OutputOf<typeof KEYS>;

type Values = Readonly<Partial<Record<KeyName, unknown>>>;

/** `method` is short for two keys; an explicit key overrides it. */
const METHOD_VALUES: Readonly<Record<Method, Values>> = {
  qdylora: { quantization: 'nf4' },
  dylora: { quantization: 'none' },
  qlora: { quantization: 'nf4' },
  lora: { quantization: 'none' },
  none: { quantization: 'none' },
};
const METHODS_OF_ONE_RANK: readonly Method[] = ['qlora', 'lora'];

/**
 * `preset: paper`: one rank a step, scale alpha/b, alpha 16, and the learning rate of QLoRA (QDyLoRA,
 * Rajabzadeh et al. 2024).
 */
const PRESET_VALUES = {
  paper: { rankSchedule: 'one', loraScaling: 'paper', loraAlpha: 16, learningRate: 2e-4 },
} as const satisfies Record<string, Values>;

/** What a run takes over from the adapter that it starts from. */
export interface InheritedValues {
  readonly ranks: readonly number[];
  readonly loraAlpha: number;
  readonly loraScaling: RankScaling;
  readonly loraDropout?: number;
  /** How its base was quantized, if that is known. A chosen `method` goes before it. */
  readonly base?: Pick<RunConfig, 'quantization' | 'doubleQuantization' | 'quantizationBlockSize'> &
    Partial<Pick<RunConfig, 'quantizationLevels'>>;
}

/**
 * Resolves presets and defaults. Explicit values override `inherited` ones (of an adapter that the run starts
 * from), which override presets, which override defaults.
 *
 * @throws QdyloraError BAD_CONFIG for a value or a combination of values that is not allowed
 */
export function resolveRun(explicit: ExplicitValues, inherited: InheritedValues | null = null): RunConfig {
  const { method, preset } = checkValues(KEYS, explicit);
  const presetValues = preset ? PRESET_VALUES[preset] : {};
  const { base, ...adapterValues } = inherited ?? {};
  const values = checkValues(KEYS, explicit, {
    ...METHOD_VALUES[method],
    ...presetValues,
    ...adapterValues,
    ...(explicit.has('method') ? {} : base),
  });
  const config = withLearningRateEnd(withWarmup(values, explicit));
  assertOptimizerKeys(config, explicit);
  assertOffloadFits(config, explicit);
  assertEarlyStoppingKeys(config, explicit);
  assertRowKeysFit(config, explicit);
  if (method === 'none') {
    assertFullTraining(config, explicit);
    return config;
  }
  if (config.init)
    throw refusedValue(
      explicit,
      'init',
      (name) => `${name('init')} starts from random weights, which needs ${name('method')}: none`,
      'An adapter cannot learn on a frozen random base.',
    );
  return withRanks(config, method, explicit, inherited);
}

function withRanks(
  config: RunConfig,
  requestedMethod: Method,
  explicit: ExplicitValues,
  inherited: InheritedValues | null,
): RunConfig {
  const adapterRanks = inherited?.ranks;
  const listedRanks = explicit.has('ranks') || !adapterRanks ? config.ranks : null;
  const loraR = explicit.has('loraR')
    ? config.loraR
    : ((listedRanks ?? adapterRanks)?.at(-1) ?? config.loraR);
  if (adapterRanks) assertAdapterHasRank(adapterRanks, loraR, explicit);
  if (listedRanks && listedRanks.at(-1) !== loraR)
    throw refusedValue(
      explicit,
      'ranks',
      (name) => `The largest of ${name('ranks')} is ${listedRanks.at(-1)}, but ${name('loraR')} is ${loraR}`,
      'Leave lora_r out, which is the largest of the ranks, or set both.',
    );
  const defaultRanks = adapterRanks
    ? adapterRanks.filter((rank) => rank <= loraR)
    : METHODS_OF_ONE_RANK.includes(requestedMethod)
      ? [loraR]
      : powersOfTwoUpTo(loraR).ranks;
  const ranks = listedRanks ?? [...defaultRanks];
  const isScalingChosen = explicit.has('loraScaling') || config.preset !== null || inherited !== null;
  // a single rank shares its rows with no other, so alpha is the whole scale
  const loraScaling = ranks.length === 1 && !isScalingChosen ? 'uniform' : config.loraScaling;
  const rateRanks = config.rateRanks ?? ratesOfAdapter(adapterRanks, ranks);
  assertRankListsFit(config, { ranks, rateRanks: rateRanks ?? ranks }, explicit);
  const distillation = config.distillation ?? defaultDistillation(config, ranks, explicit);
  assertDistillationFits({ ...config, distillation }, ranks, explicit);
  assertAdapterStartFits(config, explicit);
  assertEvaluationFits(config, ranks, explicit);
  const levelSchedule = config.levelSchedule ?? defaultLevelSchedule(distillation);
  assertLevelsFit({ ...config, distillation, levelSchedule }, explicit);
  assertWorkerRanksFit({ ...config, distillation }, ranks, explicit);
  const wideRatio = wideRatioOf(config, { ranks, distillation }, explicit);
  return {
    ...config,
    loraR,
    ranks,
    loraScaling,
    // rows that were trained nested keep their rates, also where one rank goes on
    rankRates: config.rankRates ?? defaultRates(loraScaling, adapterRanks && rateRanks ? rateRanks : ranks),
    rateRanks,
    distillation,
    levelSchedule,
    rankDistribution: config.rankDistribution ?? defaultDistribution(config, distillation),
    wideRatio,
    wideRates: wideRatesOf({ ...config, wideRatio }, explicit),
    loraAlpha: inherited && !explicit.has('loraAlpha') ? alphaAt(inherited, loraR) : config.loraAlpha,
    method: methodOf(config.quantization !== 'none', ranks.length > 1),
  };
}

/**
 * At 0.8 the loss of rank 1 was up to 0.002 lower on one task and 0.009 higher on another
 * (docs/research/how-the-default-was-found.md).
 */
const DEFAULT_DISTILLATION = 0.5;

/** Ranks from 4 on need few rows of their own. */
const LARGEST_STUDENT = 2;

function defaultDistillation(
  { rankSchedule }: RunConfig,
  ranks: readonly number[],
  explicit: ExplicitValues,
): number {
  const isPossible = ranks.length > 1 && rankSchedule === 'sandwich';
  const isUseful = ranks[0] <= LARGEST_STUDENT || explicit.has('distillationStudent');
  return isPossible && isUseful ? DEFAULT_DISTILLATION : 0;
}

/** Where the smallest rank has passes of its own it is never drawn. */
function defaultDistribution(
  { distillationStudent }: RunConfig,
  distillation: number,
): 'upper' | 'top_heavy' | 'uniform' {
  if (distillation === 0 || distillationStudent === 'drawn') return 'uniform';
  return distillationStudent === 'both' ? 'top_heavy' : 'upper';
}

/**
 * With distillation, other levels learn from 4 bits too. Set for a single level as well, so that a `run.yaml`
 * to which levels are added later has the right schedule.
 */
const defaultLevelSchedule = (distillation: number): 'distilled' | 'sampled' =>
  distillation > 0 ? 'distilled' : 'sampled';

/**
 * With distillation 0.3: rank 1 has a lower loss than with 0.5 on two models and two tasks, for 1.30 in place
 * of 1.22 times the time of QLoRA. Without it 0.5 is better than 0 and 0.3
 * (docs/research/how-the-default-was-found.md).
 */
const defaultWideRatio = (distillation: number): number => (distillation > 0 ? 0.3 : 0.5);

/** Steps at the largest rank alone, where sorted rows can be what smaller ranks go on with. */
function wideRatioOf(
  config: RunConfig,
  { ranks, distillation }: { readonly ranks: readonly number[]; readonly distillation: number },
  explicit: ExplicitValues,
): number {
  const obstacle = obstacleToWideSteps({ ...config, distillation }, ranks);
  if (obstacle === null) return config.wideRatio ?? defaultWideRatio(distillation);
  if (config.wideRatio)
    throw refusedValue(
      explicit,
      'wideRatio',
      (name) => `${name('wideRatio')} ${obstacle(name)}`,
      'Leave it out, or set it to 0.',
    );
  return 0;
}

/** Without steps at the largest rank alone both values mean the same, and `nested` stands for them. */
function wideRatesOf({ wideRatio, wideRates }: RunConfig, explicit: ExplicitValues): RunConfig['wideRates'] {
  if (wideRatio) return wideRates ?? 'nested';
  if (wideRates === 'dedicated')
    throw refusedValue(
      explicit,
      'wideRates',
      (name) => `${name('wideRates')} is for the steps of ${name('wideRatio')}, which is 0 in this run`,
      'Leave it out.',
    );
  return 'nested';
}

/** The ranks of the adapter that the run starts from; null where there is none, or they are the run's. */
const ratesOfAdapter = (
  adapterRanks: readonly number[] | undefined,
  ranks: readonly number[],
): number[] | null => (adapterRanks && adapterRanks.join() !== ranks.join() ? [...adapterRanks] : null);

/**
 * Smaller steps for the rows of large ranks where these rows count as much as all others. At a single rank
 * 1/√b is what alpha/√b is for AdamW: the usual rank-stabilized LoRA.
 */
function defaultRates(scaling: RankScaling, ranks: readonly number[]): RunConfig['rankRates'] {
  if (scaling !== 'uniform' && scaling !== 'tapered') return 'uniform';
  return ranks.length > 1 ? 'steep' : 'inverse_sqrt';
}

/** The alpha of the adapter's slice at `rank`. */
const alphaAt = ({ ranks, loraAlpha, loraScaling }: InheritedValues, rank: number): number =>
  slicedAlpha({ scaling: loraScaling, alpha: loraAlpha, maxRank: ranks.at(-1)! }, rank);

/**
 * The largest rank of a run that starts from an adapter is one of the adapter's ranks: the run trains the
 * adapter, or the slice of it at that rank.
 *
 * @throws QdyloraError BAD_CONFIG for any other rank
 */
function assertAdapterHasRank(adapterRanks: readonly number[], rank: number, explicit: ExplicitValues): void {
  if (adapterRanks.includes(rank)) return;
  throw refusedValue(
    explicit,
    explicit.has('loraR') ? 'loraR' : 'ranks',
    () =>
      `The largest rank is ${rank}, but the adapter to start from was trained at ${adapterRanks.join(', ')}`,
    'Choose one of these ranks. An adapter cannot grow.',
  );
}

/** The method of the resolved values: `quantization: none` alone makes a dylora run. */
export function methodOf(isQuantized: boolean, isNested: boolean): Method {
  if (isNested) return isQuantized ? 'qdylora' : 'dylora';
  return isQuantized ? 'qlora' : 'lora';
}

/** Null is left to polynomial, which has a default of its own. */
const withLearningRateEnd = (config: RunConfig): RunConfig =>
  config.lrScheduler === 'polynomial'
    ? config
    : { ...config, minLearningRateRatio: config.minLearningRateRatio ?? 0 };

/** Warm-up as a fraction of the steps, where neither key is set and the schedule has one. */
export const WARMUP_RATIO = 0.05;

function withWarmup(config: RunConfig, explicit: ExplicitValues): RunConfig {
  const { lrScheduler, warmupRatio, warmupSteps } = config;
  if (warmupSteps === null)
    return { ...config, warmupRatio: warmupRatio ?? (lrScheduler === 'constant' ? null : WARMUP_RATIO) };
  if (warmupRatio !== null)
    throw refusedValue(
      explicit,
      'warmupRatio',
      (name) => `${name('warmupRatio')} and ${name('warmupSteps')} both set the length of the warm-up`,
      'Leave one of them out.',
    );
  return config;
}
