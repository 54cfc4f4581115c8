import { QdyloraError } from '@qdylora/contract';
import { FLAT_SCALINGS, rankProbabilities, rankSet } from '@qdylora/lora-dynamic';
import { isPaged } from '@qdylora/trainer';
import type { OutputOf } from './check-values.ts';
import { isEachRowTwice } from '../distinct-rows.ts';
import { SPELLINGS, type ExplicitValues } from '../explicit-values.ts';
import { KEYS, type KeyName } from '../keys.ts';
import { untrainedRank } from './untrained-rank.ts';

type Config = OutputOf<typeof KEYS>;

/** A key as the place of the refused value spells it, in backticks. */
export type NameKey = (key: string) => string;

/** The error for a value that is not allowed beside the others, at the place where its key was written. */
export function refusedValue(
  explicit: ExplicitValues,
  key: string,
  problem: (name: NameKey) => string,
  nextStep: string,
): QdyloraError {
  const { value, where, spell } = explicit.get(key) ?? {
    value: undefined,
    where: 'options',
    spell: SPELLINGS.options,
  };
  return new QdyloraError('BAD_CONFIG', {
    where,
    problem: problem((other) => `\`${spell(other)}\``),
    nextStep,
    details: { key, got: value },
  });
}

/** Keys that an optimizer does not use. */
const UNUSED_KEYS: Readonly<Record<string, readonly KeyName[]>> = {
  sgd: ['adamBeta1', 'adamBeta2', 'adamEpsilon'],
  lion_8bit: ['adamEpsilon'],
};

/** @throws QdyloraError BAD_CONFIG for a key that the optimizer would ignore */
export function assertOptimizerKeys({ optimizer }: Config, explicit: ExplicitValues): void {
  const refuse = (keys: readonly KeyName[], nextStep: string): void => {
    for (const key of keys)
      if (explicit.get(key)?.value != null)
        throw refusedValue(
          explicit,
          key,
          (name) => `The optimizer ${optimizer} has no ${name(key)}`,
          nextStep,
        );
  };
  if (!isPaged(optimizer))
    refuse(
      ['optimizerMemoryBudget', 'pageDir'],
      'Choose paged_adamw_32bit or paged_adamw_8bit, or leave it out.',
    );
  refuse(UNUSED_KEYS[optimizer] ?? [], 'Leave it out, or choose one of the adamw optimizers.');
}

/** @throws QdyloraError BAD_CONFIG for offloaded inputs of layers that are not recomputed */
export function assertOffloadFits(
  { activationOffload, gradientCheckpointing }: Config,
  explicit: ExplicitValues,
): void {
  if (!activationOffload || gradientCheckpointing !== false) return;
  throw refusedValue(
    explicit,
    'activationOffload',
    (name) =>
      `${name('activationOffload')} moves the inputs of recomputed layers, but with ` +
      `${name('gradientCheckpointing')}: false no layer is recomputed`,
    'Leave one of them out.',
  );
}

/** @throws QdyloraError BAD_CONFIG for weights that do not match their ranks, or ranks that leave rows out */
export function assertRankListsFit(
  { rankDistribution, rankLossWeights, rankRates }: Config,
  { ranks, rateRanks }: { readonly ranks: readonly number[]; readonly rateRanks: readonly number[] },
  explicit: ExplicitValues,
): void {
  try {
    if (rankDistribution) rankProbabilities(rankSet(ranks), rankDistribution);
  } catch {
    throw refusedValue(
      explicit,
      'rankDistribution',
      (name) => `${name('rankDistribution')} must hold one weight for each of the ranks ${ranks.join(', ')}`,
      'At least one weight must be positive.',
    );
  }
  for (const [key, list, listRanks] of [
    ['rankLossWeights', rankLossWeights, ranks],
    ['rankRates', rankRates, rateRanks],
  ] as const)
    if (Array.isArray(list) && list.length !== listRanks.length)
      throw refusedValue(
        explicit,
        key,
        (name) => `${name(key)} has ${list.length} numbers, but there are ${listRanks.length} ranks`,
        `Give one number > 0 for each of the ranks ${listRanks.join(', ')}.`,
      );
  if (rateRanks.at(-1)! < ranks.at(-1)!)
    throw refusedValue(
      explicit,
      'rateRanks',
      (name) =>
        `The largest of ${name('rateRanks')} is ${rateRanks.at(-1)}, but the largest rank is ${ranks.at(-1)}`,
      'Name the ranks of the run that trained the rows, or leave it out.',
    );
}

/** Why a run cannot train the largest rank alone first and then sort rows; null: it can. */
export function obstacleToWideSteps(
  config: Config,
  ranks: readonly number[],
): ((name: NameKey) => string) | null {
  const { adapter, loraScaling, updateRule } = config;
  if (ranks.length === 1) return () => 'needs several ranks';
  if (isEachRowTwice(config)) return (name) => `cannot be used with ${name('distillationStudent')}: drawn`;
  if (!FLAT_SCALINGS.includes(loraScaling))
    return (name) =>
      `needs nearly the same scale at all ranks: ${name('loraScaling')} ${FLAT_SCALINGS.join(' or ')}`;
  if (updateRule !== 'prefix') return (name) => `needs ${name('updateRule')}: prefix`;
  if (adapter !== null)
    return (name) => `is only for a new adapter, but ${name('adapter')} names an existing one`;
  return null;
}

/** @throws QdyloraError BAD_CONFIG for distillation without two ranks over the same rows */
export function assertDistillationFits(
  {
    distillation,
    distillationStudent,
    rankSchedule,
    rankSegments,
    microBatchSize,
    gradientAccumulationSteps,
  }: Config,
  ranks: readonly number[],
  explicit: ExplicitValues,
): void {
  if (!distillation) return;
  const refuse = (problem: (name: NameKey) => string, nextStep: string): QdyloraError =>
    refusedValue(explicit, 'distillation', problem, nextStep);
  if (ranks.length === 1)
    throw refuse(
      (name) => `${name('distillation')} needs several ranks, but the run has only rank ${ranks[0]}`,
      'Leave it out, or choose method: qdylora.',
    );
  if (rankSchedule !== 'sandwich')
    throw refuse(
      (name) => `${name('distillation')} needs ${name('rankSchedule')}: sandwich (got ${rankSchedule})`,
      'In other schedules no step has the largest rank to learn from.',
    );
  if (distillationStudent !== 'drawn') return;
  if (rankSegments !== null)
    throw refusedValue(
      explicit,
      'rankSegments',
      (name) => `${name('rankSegments')} has no effect with ${name('distillationStudent')}: drawn`,
      'Leave it out: micro batches run whole at both ranks.',
    );
  if ((microBatchSize * gradientAccumulationSteps) % 2 === 1)
    throw refuse(
      (name) =>
        `${name('distillationStudent')}: drawn runs each row twice, so ${name('microBatchSize')} · ` +
        `${name('gradientAccumulationSteps')} must be even (got ${microBatchSize} · ` +
        `${gradientAccumulationSteps})`,
      'Make one of them even.',
    );
}

/**
 * @throws QdyloraError BAD_CONFIG for a start of an existing adapter, a norm without its start, or the
 * optimizer state of an adapter that is not there
 */
export function assertAdapterStartFits(
  { adapter, adapterInit, adapterInitNorm, optimizerState }: Config,
  explicit: ExplicitValues,
): void {
  if (optimizerState !== null && adapter === null)
    throw refusedValue(
      explicit,
      'optimizerState',
      (name) =>
        `${name('optimizerState')} continues the training of an adapter, but ${name('adapter')} is not set`,
      'Set the adapter of that run too, or leave it out.',
    );
  if (adapterInit !== 'kaiming' && adapter !== null)
    throw refusedValue(
      explicit,
      'adapterInit',
      (name) =>
        `${name('adapterInit')} is only for a new adapter, but ${name('adapter')} names an existing one`,
      'Leave one of them out.',
    );
  if (adapterInit === 'kaiming' && adapterInitNorm !== null)
    throw refusedValue(
      explicit,
      'adapterInitNorm',
      (name) => `${name('adapterInitNorm')} needs ${name('adapterInit')}: gradient or activations`,
      'Leave it out, or set adapter_init to one of them.',
    );
}

/**
 * @throws QdyloraError BAD_CONFIG for levels of weights that are not nf4, feedback without evaluations, or
 * distilled levels in a run that does not distil
 */
export function assertLevelsFit(config: Config, explicit: ExplicitValues): void {
  const { quantization, quantizationLevels, levelSchedule, distillation } = config;
  const { evalSteps, evalDataset, valSetSize } = config;
  if (quantization !== 'nf4' && quantizationLevels.some((level) => level !== 4))
    throw refusedValue(
      explicit,
      'quantizationLevels',
      (name) =>
        `${name('quantizationLevels')} ${quantizationLevels.join(', ')} needs ${name('quantization')}: nf4 ` +
        `(got ${quantization})`,
      'Leave one of them out.',
    );
  if (levelSchedule === 'feedback' && (evalSteps === 0 || (!evalDataset && valSetSize === 0)))
    throw refusedValue(
      explicit,
      'levelSchedule',
      (name) => `${name('levelSchedule')}: feedback needs evaluations between steps, and there are none`,
      'Set eval_steps, and val_set_size or eval_dataset.',
    );
  if (levelSchedule === 'distilled' && quantizationLevels.length > 1 && !distillation)
    throw refusedValue(
      explicit,
      'levelSchedule',
      (name) => `${name('levelSchedule')}: distilled needs ${name('distillation')}, which is off in this run`,
      'Set distillation: 0.5, or choose level_schedule: sampled.',
    );
}

/** @throws QdyloraError BAD_CONFIG for ranks of workers that are no ranks of the run, or leave rows out */
export function assertWorkerRanksFit(
  config: Config,
  ranks: readonly number[],
  explicit: ExplicitValues,
): void {
  const { maxRankByWorker, updateRule, preconditioner } = config;
  if (maxRankByWorker === null) return;
  const refuse = (problem: (name: NameKey) => string, nextStep: string): QdyloraError =>
    refusedValue(explicit, 'maxRankByWorker', problem, nextStep);
  const stranger = maxRankByWorker.find((rank) => !ranks.includes(rank));
  if (stranger !== undefined)
    throw refuse(
      (name) => `${name('maxRankByWorker')} has rank ${stranger}, which the run does not train`,
      `Choose from its ranks: ${ranks.join(', ')}.`,
    );
  if (Math.max(...maxRankByWorker) < ranks.at(-1)!)
    throw refuse(
      (name) => `No process of ${name('maxRankByWorker')} trains rank ${ranks.at(-1)}`,
      'Give one of them the largest rank, or lower lora_r.',
    );
  if (updateRule !== 'prefix' || preconditioner !== 'none')
    throw refuse(
      (name) =>
        `${name('maxRankByWorker')} needs ${name('updateRule')}: prefix and ${name('preconditioner')}: none`,
      'Leave one of them out.',
    );
  const untrained = untrainedRank(maxRankByWorker, config);
  const enough = (isEachRowTwice(config) ? 2 : 1) * maxRankByWorker.length;
  if (untrained !== undefined)
    throw refuse(
      (name) =>
        `No process of rank ${untrained} in ${name('maxRankByWorker')} gets a micro batch: ` +
        `${name('gradientAccumulationSteps')} is ${config.gradientAccumulationSteps}`,
      `Set gradient_accumulation_steps to ${enough} or more.`,
    );
}

/** Keys of an adapter, which full training does not have. */
const ADAPTER_ONLY_KEYS: readonly KeyName[] = [
  'loraR',
  'loraAlpha',
  'loraScaling',
  'loraDropout',
  'targetModules',
  'rankDistribution',
  'rankSchedule',
  'updateRule',
  'adapter',
  'optimizerState',
  'ranks',
  'preset',
  'evalRanks',
  'evalBudgets',
  'earlyStopping',
  'rankSegments',
  'rankLossWeights',
  'distillation',
  'distillationTopK',
  'distillationStudent',
  'adapterInit',
  'adapterInitNorm',
  'loraplusLrRatio',
  'rankRates',
  'wideRatio',
  'wideRates',
  'rateRanks',
  'quantizationLevels',
  'levelSchedule',
  'preconditioner',
  'maxRankByWorker',
];

/** @throws QdyloraError BAD_CONFIG for a key that full training (`method: none`) has no use for */
export function assertFullTraining(config: Config, explicit: ExplicitValues): void {
  if (config.quantization !== 'none')
    throw refusedValue(
      explicit,
      'quantization',
      () => `Full training (method none) cannot train ${config.quantization} weights`,
      'Leave quantization out, or choose method: qdylora.',
    );
  for (const key of ADAPTER_ONLY_KEYS)
    if (explicit.has(key) && !isDefault(key, explicit.get(key)!.value))
      throw refusedValue(
        explicit,
        key,
        (name) => `${name(key)} needs an adapter, but full training (method none) has none`,
        'Leave it out, or choose another method.',
      );
}

/** Defaults of earlier versions, which stand in the `run.yaml` of their runs. */
const EARLIER_DEFAULTS: ReadonlyMap<KeyName, unknown> = new Map([
  ['levelSchedule', 'sampled'],
  ['distillationStudent', 'smallest'],
]);

/** Compares as JSON, since a list is never the same object as another. */
const isDefault = (key: KeyName, value: unknown): boolean =>
  [KEYS[key].schema.parse(undefined), EARLIER_DEFAULTS.get(key)].some(
    (usual) => JSON.stringify(value) === JSON.stringify(usual),
  );
