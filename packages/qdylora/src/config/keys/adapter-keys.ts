import {
  RANK_DISTRIBUTIONS,
  RANK_SCALINGS,
  DISTILLATION_STUDENTS,
  RANK_SCHEDULES,
  UPDATE_RULES,
  type RankScaling,
  type RankSchedule,
  type UpdateRule,
} from '@qdylora/lora-dynamic';
import { PRECONDITIONERS, RANK_RATES, WIDE_RATES } from '@qdylora/trainer';
import * as z from 'zod';
import { choiceKey, numberKey, optionalChoiceKey, optionalNumberKey, textKey, type Key } from '../key.ts';

const asTuple = <T extends string>(list: readonly T[]): readonly [T, ...T[]] =>
  list as unknown as readonly [T, ...T[]];

function isPattern(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

/**
 * A plain name matches the ends of layer names, also when it is the only one. Other text is a regular
 * expression.
 */
const targetModules = z.union([
  z
    .string()
    .min(1)
    .refine(isPattern)
    .transform((text) => (text !== 'all-linear' && /^[\w.]+$/.test(text) ? [text] : text)),
  z.array(z.string().min(1)).min(1),
]);

const ranksSchema = z
  .array(z.number().int().gte(1).lte(4096))
  .min(1)
  .refine((list) => new Set(list).size === list.length)
  .transform((list) => [...list].sort((a, b) => a - b))
  .nullable()
  .default(null);

/** The adapter: its layers, its ranks, and how the ranks are trained. */
export const ADAPTER_KEYS = {
  adapter: textKey({
    group: 'Adapter',
    about:
      'Folder of an adapter to start from. The run has its layers, ranks, scale, dropout and storage of ' +
      'the base unless a key says otherwise',
  }),
  optimizerState: textKey({
    group: 'Adapter',
    about:
      'Folder of the checkpoint (checkpoints/step-150) whose optimizer state the rows of adapter start ' +
      'with. Without it the moments start at 0',
  }),
  loraR: numberKey({ from: 1, to: 4096, whole: true }, 64, { group: 'Adapter', about: 'The largest rank' }),
  ranks: {
    group: 'Adapter',
    about: 'Ranks that the run trains; powers of two up to lora_r by default',
    flag: 'numbers',
    expected: 'a list of different whole numbers ≥ 1',
    schema: ranksSchema,
  },
  rankDistribution: {
    group: 'Adapter',
    about:
      'How often each rank is drawn: uniform, geometric (small ranks more often), tail_heavy (in ' +
      'proportion to the rows that it adds), upper (half of the draws at the largest rank, none at the ' +
      'smallest), top_heavy (as upper, with three quarters), or one weight per rank. Default: upper where ' +
      'the smallest rank distils, top_heavy with distillation_student: both, else uniform',
    flag: 'word-or-numbers',
    expected: `${RANK_DISTRIBUTIONS.join(', ')} or a list of weights`,
    schema: z
      .union([z.enum(RANK_DISTRIBUTIONS), z.array(z.number().gte(0)).min(1)])
      .nullable()
      .default(null),
  },
  rankSchedule: choiceKey<readonly [RankSchedule, ...RankSchedule[]], RankSchedule>(
    asTuple(RANK_SCHEDULES),
    'sandwich',
    {
      group: 'Adapter',
      about:
        'Ranks of one step. sandwich: half of its parts at the largest rank, half at a drawn one; one: a ' +
        'single drawn rank; each: one draw per part; stratified: draws spread over all ranks; all: every ' +
        'rank',
    },
  ),
  wideRatio: optionalNumberKey(
    { from: 0, to: 1, below: true },
    {
      group: 'Adapter',
      about:
        'Share of the steps that train the largest rank alone; then rows are sorted by SVD, and all ranks ' +
        'train. By default 0.5 where lora_scaling is tapered, uniform or constant, else 0',
    },
  ),
  wideRates: optionalChoiceKey(WIDE_RATES, {
    group: 'Adapter',
    about:
      'Factors on the learning rate of the rows of B during the steps of wide_ratio: dedicated: 1/√R for ' +
      'all rows (1 with rank_rates: uniform), as in a run of the largest rank R alone; nested, the ' +
      'default: those of rank_rates',
  }),
  rankSegments: optionalNumberKey(
    { from: 1, to: 4096, whole: true },
    {
      group: 'Adapter',
      about:
        'Parts of a micro batch that train at ranks of their own; default: 2 where a step has one micro ' +
        'batch, else 1. Where a step has a single part, ranks alternate from step to step',
    },
  ),
  rankLossWeights: {
    group: 'Adapter',
    about: 'Factors on the losses of the ranks, also in the steps of wide_ratio',
    flag: 'numbers',
    expected: 'a list with one number > 0 for each rank',
    schema: z.array(z.number().gt(0)).min(1).nullable().default(null),
  },
  distillation: optionalNumberKey(
    { from: 0, to: 1 },
    {
      group: 'Adapter',
      about:
        'With the schedule sandwich: a smaller rank runs over the rows of the largest and learns from its ' +
        'predictions, (1 - w)·cross-entropy + w·divergence; 0: off. By default 0.5 where the smallest of ' +
        'several ranks is 1 or 2',
    },
  ),
  distillationStudent: choiceKey(DISTILLATION_STUDENTS, 'smallest', {
    group: 'Adapter',
    about:
      'The rank that learns from the largest: smallest: in a pass of its own, half as many rows more a ' +
      'step; drawn: in place of its own rows, so a step has half as many different rows; both: all rows ' +
      'run at the largest rank, one half once more at the smallest, the other half at the drawn rank',
  }),
  distillationTopK: numberKey({ from: 1, whole: true }, 64, {
    group: 'Adapter',
    about: 'Most likely tokens that distillation compares one by one; all others count together',
  }),
  loraAlpha: numberKey({ from: 0, above: true }, 8, {
    group: 'Adapter',
    about: 'The scale, or its numerator',
  }),
  loraScaling: choiceKey<readonly [RankScaling, ...RankScaling[]], RankScaling>(
    asTuple(RANK_SCALINGS),
    'tapered',
    {
      group: 'Adapter',
      about:
        'Scale at rank b of at most R: tapered: alpha·(1 + 3/(4b)), more at small ranks; uniform: alpha, ' +
        'the default at a single rank; sqrt: alpha/√b; paper: alpha/b; constant: alpha/R',
    },
  ),
  adapterInit: choiceKey(['kaiming', 'gradient', 'activations'], 'kaiming', {
    group: 'Adapter',
    about:
      'Start of A, with B = 0. kaiming: random, as in PEFT; gradient: the directions in which the loss ' +
      'falls fastest over the first steps (64 rows or more), most important first; activations: the main ' +
      'directions of the inputs of a layer (EVA), without subtracting their mean, unlike EVA in PEFT. ' +
      'gradient and activations are estimates, rougher at a small lora_r',
  }),
  adapterInitNorm: optionalNumberKey(
    { from: 0, above: true },
    {
      group: 'Adapter',
      about: 'Norm of the rows of A under another adapter_init than kaiming; 0.577 by default',
    },
  ),
  loraplusLrRatio: numberKey({ from: 0, above: true }, 1, {
    group: 'Adapter',
    about: 'Learning rate of B over that of A (LoRA+)',
  }),
  rankRates: {
    group: 'Adapter',
    about:
      'Factors on the learning rate of the rows of B that each rank adds: uniform; inverse_sqrt: 1/√b; ' +
      'steep: 1.5/b^0.77; or one number per rank. Where lora_scaling is tapered or uniform, the default is ' +
      'steep for several ranks and inverse_sqrt for one; otherwise it is uniform',
    flag: 'word-or-numbers',
    expected: `${RANK_RATES.join(', ')} or a list of factors`,
    schema: z
      .union([z.enum(RANK_RATES), z.array(z.number().gt(0)).min(1)])
      .nullable()
      .default(null),
  },
  rateRanks: {
    group: 'Adapter',
    about:
      'Ranks of the factors of rank_rates. By default those of the adapter that the run starts from, so ' +
      'that its rows keep their rates, else ranks',
    flag: 'numbers',
    expected: 'a list of different whole numbers ≥ 1',
    schema: ranksSchema,
  },
  updateRule: choiceKey<readonly [UpdateRule, ...UpdateRule[]], UpdateRule>(asTuple(UPDATE_RULES), 'prefix', {
    group: 'Adapter',
    about: 'Rows that a step at rank b trains: all up to b, or only those that b adds',
  }),
  preconditioner: choiceKey(PRECONDITIONERS, 'none', {
    group: 'Adapter',
    about:
      'What changes the gradients before the optimizer: none; prefix: gradients of A and B at rank b are ' +
      'scaled by (B·Bᵀ + 0.01)⁻¹ and (A·Aᵀ + 0.01)⁻¹ of the first b rows (Riemannian)',
  }),
  loraDropout: numberKey({ from: 0, to: 1, below: true }, 0, {
    group: 'Adapter',
    about: 'Dropout on the input of the adapter; 0, or that of the adapter that the run starts from',
  }),
  targetModules: {
    group: 'Adapter',
    about: 'Layers with an adapter: all-linear, names of layers, or a regular expression for whole names',
    flag: 'word-or-texts',
    expected: 'all-linear, a list of names or a regular expression',
    schema: targetModules.default('all-linear'),
  },
} satisfies Record<string, Key>;
