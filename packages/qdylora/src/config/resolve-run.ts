import { QdyloraError } from '@qdylora/contract';
import { powersOfTwoUpTo, rankProbabilities, rankSet } from '@qdylora/lora-dynamic';
import { isPaged, OPTIMIZER_NAMES } from '@qdylora/trainer';
import { checkValues, wrongValue, type InputOf, type OutputOf } from './check-values.ts';
import type { GivenValues } from './given-values.ts';
import { KEYS, type KeyName, type Method } from './keys.ts';

/** What a caller may give for a run: every key may be left out. */
export type RunOptions = InputOf<typeof KEYS>;
/** A run with every key resolved: presets applied, ranks listed. Reading it again gives the same. */
export type RunConfig = OutputOf<typeof KEYS>;

type Values = Readonly<Partial<Record<KeyName, unknown>>>;

/** `method` is short for two keys; a key that is given wins over it. */
const METHOD_VALUES: Readonly<Record<Method, Values>> = {
  qdylora: { quantization: 'nf4' },
  dylora: { quantization: 'none' },
  qlora: { quantization: 'nf4' },
  lora: { quantization: 'none' },
  none: { quantization: 'none' },
};
const HAS_ONE_RANK: readonly Method[] = ['qlora', 'lora'];

/** `preset: paper`: one rank a step, scale alpha/b, alpha 16 (QDyLoRA, Rajabzadeh et al. 2024). */
const PRESET_VALUES = {
  paper: { rankSchedule: 'one', loraScaling: 'paper', loraAlpha: 16 },
} as const satisfies Record<string, Values>;

/** What runs today, for keys whose other values are names of things to come. */
export const AVAILABLE: Readonly<Partial<Record<KeyName, readonly string[]>>> = {
  optimizer: OPTIMIZER_NAMES,
  reportTo: ['none', 'tensorboard'],
};

/**
 * Resolves presets and defaults: given values win over `inherited` ones (an adapter that the run starts
 * from), those over presets, those over defaults.
 *
 * @throws QdyloraError BAD_CONFIG for a value or a combination that does not fit; UNSUPPORTED for one that is
 * not implemented yet, listing what is.
 */
export function resolveRun(given: GivenValues, inherited: Values = {}): RunConfig {
  const asked = checkValues(KEYS, given);
  checkAvailable(given);
  const preset = asked.preset ? PRESET_VALUES[asked.preset] : {};
  const config = withWarmup(
    checkValues(KEYS, given, { ...METHOD_VALUES[asked.method], ...preset, ...inherited }),
    given,
  );
  checkPaging(config, given);
  checkMoments(config, given);
  if (asked.method === 'none') return checkFullTraining(config, given);
  if (config.init)
    throw fault(
      given,
      'init',
      'method none for random weights',
      'A frozen random base has nothing to teach an adapter: set method: none.',
    );
  return withRanks(config, asked.method, given, inherited);
}

function withRanks(config: RunConfig, asked: Method, given: GivenValues, inherited: Values): RunConfig {
  const listed = config.ranks;
  const isGiven = given.has('loraR');
  const loraR = listed && !isGiven ? listed.at(-1)! : config.loraR;
  if (inherited.ranks && loraR !== (inherited.ranks as number[]).at(-1))
    throw fault(
      given,
      given.has('loraR') ? 'loraR' : 'ranks',
      `the adapter's own largest rank, ${(inherited.ranks as number[]).at(-1)}`,
      'An adapter cannot grow or shrink: leave it out.',
    );
  if (listed && listed.at(-1) !== loraR)
    throw fault(
      given,
      'ranks',
      `ranks up to lora_r = ${loraR}`,
      'Leave lora_r out: it is the largest of the ranks.',
    );
  const ranks = listed ?? (HAS_ONE_RANK.includes(asked) ? [loraR] : [...powersOfTwoUpTo(loraR).ranks]);
  checkWeights(config, ranks, given);
  checkEvaluation(config, ranks, given);
  return { ...config, loraR, ranks, method: methodOf(config.quantization !== 'none', ranks.length > 1) };
}

/** The name for what the values say: `quantization: none` alone makes a dylora run. */
const methodOf = (isQuantized: boolean, isNested: boolean): Method =>
  isNested ? (isQuantized ? 'qdylora' : 'dylora') : isQuantized ? 'qlora' : 'lora';

/** Of the steps, where neither key is given and the schedule has a warm-up. */
export const WARMUP_RATIO = 0.05;

/** Two lengths of one warm-up leave nobody to say which is meant. */
function withWarmup(config: RunConfig, given: GivenValues): RunConfig {
  const { lrScheduler, warmupRatio, warmupSteps } = config;
  if (warmupSteps === null)
    return { ...config, warmupRatio: warmupRatio ?? (lrScheduler === 'constant' ? null : WARMUP_RATIO) };
  if (warmupRatio !== null)
    throw fault(
      given,
      'warmupRatio',
      `either it or ${given.get('warmupSteps')!.spell('warmupSteps')} (${warmupSteps})`,
      'Leave one of them out.',
    );
  return config;
}

/** Where nothing is paged a budget would hold nothing back. */
function checkPaging({ optimizer }: RunConfig, given: GivenValues): void {
  if (isPaged(optimizer)) return;
  for (const key of ['optimizerMemoryBudget', 'pageDir'] as const) {
    if (given.get(key)?.value != null)
      throw fault(
        given,
        key,
        `no such key for optimizer ${optimizer}`,
        'Choose paged_adamw_32bit or paged_adamw_8bit, or leave it out.',
      );
  }
}

/** Numbers that an optimizer does not have would say nothing. */
const WITHOUT: Readonly<Record<string, readonly KeyName[]>> = {
  sgd: ['adamBeta1', 'adamBeta2', 'adamEpsilon'],
  lion_8bit: ['adamEpsilon'],
};

function checkMoments({ optimizer }: RunConfig, given: GivenValues): void {
  for (const key of WITHOUT[optimizer] ?? [])
    if (given.get(key)?.value != null)
      throw fault(
        given,
        key,
        `no such key for optimizer ${optimizer}`,
        'Leave it out, or choose one of the adamw optimizers.',
      );
}

function checkWeights(
  { rankDistribution, rankLossWeights }: RunConfig,
  ranks: readonly number[],
  given: GivenValues,
): void {
  try {
    rankProbabilities(rankSet(ranks), rankDistribution);
  } catch {
    throw fault(
      given,
      'rankDistribution',
      `one weight for each of the ranks ${ranks.join(', ')}, with a positive sum,`,
    );
  }
  if (rankLossWeights && rankLossWeights.length !== ranks.length)
    throw fault(given, 'rankLossWeights', `one number > 0 for each of the ranks ${ranks.join(', ')}`);
}

/** What is judged must be there to be judged, and what is watched must be judged. */
function checkEvaluation(
  { evalRanks, earlyStopping, evalSteps, evalDataset, valSetSize }: RunConfig,
  ranks: readonly number[],
  given: GivenValues,
): void {
  const largest = ranks.at(-1)!;
  const judged = evalRanks ?? ranks;
  if (judged.at(-1)! > largest) throw fault(given, 'evalRanks', `ranks up to lora_r = ${largest}`);
  if (earlyStopping === null) return;
  if (typeof earlyStopping === 'number' && !judged.includes(earlyStopping))
    throw fault(
      given,
      'earlyStopping',
      `aurac or one of the judged ranks ${judged.join(', ')}`,
      'Add it to eval_ranks, or watch another one.',
    );
  if (evalSteps === 0)
    throw fault(
      given,
      'earlyStopping',
      'eval_steps > 0',
      'Set eval_steps: how many steps lie between two evaluations.',
    );
  if (!evalDataset && valSetSize === 0)
    throw fault(given, 'earlyStopping', 'held-out rows', 'Set val_set_size or eval_dataset.');
}

/** Keys that say something about an adapter have nothing to say where there is none. */
const ADAPTER_KEYS: readonly KeyName[] = [
  'adapter',
  'ranks',
  'preset',
  'evalRanks',
  'earlyStopping',
  'rankSegments',
  'rankLossWeights',
];

function checkFullTraining(config: RunConfig, given: GivenValues): RunConfig {
  if (config.quantization !== 'none')
    throw fault(
      given,
      'quantization',
      'none for method none',
      'Four-bit weights cannot be trained: leave quantization out, or choose method: qdylora.',
    );
  for (const key of ADAPTER_KEYS)
    if (given.has(key))
      throw fault(
        given,
        key,
        'no such key for method none',
        'Full training has no adapter: leave it out, or choose another method.',
      );
  return config;
}

function checkAvailable(given: GivenValues): void {
  for (const [key, list] of Object.entries(AVAILABLE) as [KeyName, readonly string[]][]) {
    const own = given.get(key);
    const missing = own && [own.value].flat().find((value) => !list.includes(value as string));
    if (!own || missing === undefined) continue;
    throw new QdyloraError('UNSUPPORTED', {
      where: own.where,
      problem:
        `expected one of what is implemented (${list.join(', ')}) for ${own.spell(key)}, got ` +
        `${String(missing)}`,
      nextStep: 'It comes in a later version.',
      details: { key, got: missing, available: list },
    });
  }
}

function fault(given: GivenValues, key: KeyName, expected: string, nextStep?: string): QdyloraError {
  return wrongValue(
    key,
    given.get(key) ?? { value: undefined, where: 'options', spell: (name) => name },
    expected,
    nextStep,
  );
}
