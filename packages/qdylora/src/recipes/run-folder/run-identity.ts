import { snakeCase } from '@qdylora/contract';
import { KEY_NAMES, type KeyName } from '../../config/keys.ts';
import { WARMUP_RATIO, type RunConfig } from '../../config/resolve-run.ts';

/**
 * Keys that may change when a run is resumed: places, speed, and how often it evaluates and saves. Where
 * levels follow evaluations, those that decide the evaluations may not: `evaluationValues`.
 */
const FREE_KEYS: ReadonlySet<KeyName> = new Set<KeyName>([
  'model',
  'init',
  'adapter',
  'optimizerState',
  'dataset',
  'evalDataset',
  'chatTemplate',
  'streaming',
  'outputDir',
  'resumeFromCheckpoint',
  'backend',
  'numThreads',
  'preset',
  'numEpochs',
  'maxSteps',
  'gradientCheckpointing',
  'activationOffload',
  'evalSteps',
  'evalRanks',
  'evalBudgets',
  'earlyStopping',
  'earlyStoppingPatience',
  'earlyStoppingMinDelta',
  'saveSteps',
  'saveTotalLimit',
  'saveDtype',
  'loggingSteps',
  'reportTo',
  'profile',
  'optimizerMemoryBudget',
  'pageDir',
]);

/** Keys that earlier versions did not have, with the values that describe how those trained. */
const LATER_KEYS: ReadonlyMap<KeyName, unknown> = new Map<KeyName, unknown>([
  ['distillation', 0],
  ['distillationTopK', 64],
  ['adapterInit', 'kaiming'],
  ['adapterInitNorm', null],
  ['loraplusLrRatio', 1],
  ['rankRates', 'uniform'],
  ['wideRatio', 0],
  ['wideRates', 'nested'],
  ['rateRanks', null],
  ['quantizationLevels', [4]],
  ['levelSchedule', 'sampled'],
  ['preconditioner', 'none'],
  ['fastReduce', false],
  ['gradientCompression', 'none'],
  ['maxRankByWorker', null],
]);

/** What a run does where a key is left out, for keys whose default depends on others or on the optimizer. */
const defaultsOf = ({ seed, optimizer, ranks, lrScheduler }: RunConfig) =>
  ({
    dataSeed: seed,
    adamBeta1: 0.9,
    adamBeta2: optimizer === 'lion_8bit' ? 0.99 : 0.999,
    adamEpsilon: 1e-8,
    rateRanks: ranks,
    lrNumCycles: lrScheduler === 'cosine' ? 0.5 : 1,
    lrPower: 1,
  }) satisfies Partial<Record<KeyName, unknown>>;

/**
 * Defaults for keys that a stored identity lacks or has as null, so that a key set to its default does not
 * refuse a resume. Earlier versions did not store the keys of evaluations that levels follow; a run of theirs
 * can be resumed with any.
 */
export const absentValues = (config: RunConfig): Readonly<Record<string, unknown>> => ({
  ...Object.fromEntries(
    [...LATER_KEYS, ...Object.entries(defaultsOf(config))].map(([name, value]) => [snakeCase(name), value]),
  ),
  ...evaluationValues(config),
});

/** When and at which ranks a run evaluates, if the levels of its steps follow that; otherwise nothing. */
const evaluationValues = (config: RunConfig): Readonly<Record<string, unknown>> =>
  followsEvaluations(config)
    ? { eval_steps: config.evalSteps, eval_ranks: config.evalRanks ?? config.ranks }
    : {};

const followsEvaluations = ({ levelSchedule, quantizationLevels }: RunConfig): boolean =>
  levelSchedule === 'feedback' && quantizationLevels.length > 1;

/** An earlier version trained so, and has not stored the key. Its student was the drawn rank. */
function isEarlierValue(name: KeyName, config: RunConfig): boolean {
  if (name === 'distillationStudent') return !config.distillation || config[name] === 'drawn';
  if (name === 'levelSchedule' && config.quantizationLevels.length === 1) return true; // has no effect
  return LATER_KEYS.has(name) && JSON.stringify(config[name]) === JSON.stringify(LATER_KEYS.get(name));
}

/**
 * The values that a resumed run must share with the first one: keys that decide the numbers, the fingerprint
 * of the base, the rows, their tokens and the number of steps.
 */
export function runIdentity(
  config: RunConfig,
  facts: {
    readonly fingerprint: string;
    readonly rows: number;
    readonly rowsHash: string;
    readonly tokensHash: string;
    readonly heldOutHash: () => string;
    readonly totalSteps: number;
  },
): Record<string, unknown> {
  const { fingerprint, rows, rowsHash, tokensHash, heldOutHash, totalSteps } = facts;
  const decidingValues = KEY_NAMES.filter(
    (name) => !FREE_KEYS.has(name) && !isEarlierValue(name, config),
  ).map((name) => [snakeCase(name), config[name]] as const);
  // Earlier versions wrote the default ratio also beside warmup_steps and without a warm-up: such a run can
  // be resumed. A key that is left out and one that is set to its default are the same run.
  return {
    ...Object.fromEntries(decidingValues),
    completion_only_loss: config.completionOnlyLoss ?? true,
    warmup_ratio: config.warmupRatio ?? WARMUP_RATIO,
    base_fingerprint: fingerprint,
    training_rows: rows,
    training_rows_hash: rowsHash,
    training_tokens_hash: tokensHash,
    total_steps: totalSteps,
    ...evaluationValues(config),
    ...(followsEvaluations(config) && { held_out_rows_hash: heldOutHash() }),
  };
}
