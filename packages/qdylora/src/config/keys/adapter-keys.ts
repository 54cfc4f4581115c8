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
      'Folder of an adapter to start from. The run has the layers of this adapter; ranks, scale, dropout ' +
      'and storage of the base are those of the adapter unless a key sets them',
  }),
  optimizerState: textKey({
    group: 'Adapter',
    about:
      'Checkpoint folder (checkpoints/step-150) of the run that trained adapter; the optimizer starts with ' +
      'its state. Without it the moments start at 0',
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
      'How often each rank is drawn: uniform; geometric: small ranks more often; tail_heavy: in proportion ' +
      'to the rows that a rank adds; upper: the largest rank in half of the draws, the smallest never; ' +
      'top_heavy: the largest in three quarters, the smallest never; or one weight per rank. Default: ' +
      'top_heavy with distillation, upper with distillation_student: smallest, uniform with drawn or ' +
      'without distillation',
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
        'How a step chooses its ranks. A step has parts: its micro batches, or parts of them ' +
        '(rank_segments). sandwich: half of the parts train the largest rank, half a drawn one (with ' +
        'distillation see distillation_student); one: all parts train one drawn rank; each: every part ' +
        'draws a rank; stratified: the draws are spread over all ranks; all: every part trains every rank',
    },
  ),
  wideRatio: optionalNumberKey(
    { from: 0, to: 1, below: true },
    {
      group: 'Adapter',
      about:
        'Share of the steps, at the beginning, that train the largest rank alone. Then the adapter rows ' +
        'are sorted by SVD, and all ranks train. By default 0.3 with distillation and 0.5 without, but 0 ' +
        'for a single rank, with lora_scaling sqrt or paper, update_rule: newest_block or ' +
        'distillation_student: drawn, or if adapter is set',
    },
  ),
  wideRates: optionalChoiceKey(WIDE_RATES, {
    group: 'Adapter',
    about:
      'Learning-rate factors of the rows of B during the steps of wide_ratio. nested, the default: those ' +
      'of rank_rates; dedicated: 1/√R for all rows, as in a run of the largest rank R alone (1 with ' +
      'rank_rates: uniform)',
  }),
  rankSegments: optionalNumberKey(
    { from: 1, to: 4096, whole: true },
    {
      group: 'Adapter',
      about:
        'Number of parts of a micro batch, each trained at its own rank; default: 2 if a step has one ' +
        'micro batch, else 1. If a step has a single part, ranks alternate from step to step',
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
        'With rank_schedule: sandwich, a smaller rank also learns from the predictions of the largest rank ' +
        'on the same rows. Its loss is (1 - w)·cross-entropy + w·KL divergence; this key is w, and 0 turns ' +
        'it off. By default 0.5 if the smallest of several ranks is 1 or 2 or distillation_student is set, ' +
        'else 0',
    },
  ),
  distillationStudent: choiceKey(DISTILLATION_STUDENTS, 'both', {
    group: 'Adapter',
    about:
      'The rank that learns from the largest. both: all rows run at the largest rank, then half of them at ' +
      'the smallest rank and half at the drawn one; smallest: half of the rows run at the largest rank, ' +
      'then at the smallest, and the others at the drawn rank only; drawn: every row runs at the largest ' +
      'rank and at the drawn rank, so a step has half as many different rows',
  }),
  distillationTopK: numberKey({ from: 1, whole: true }, 64, {
    group: 'Adapter',
    about:
      'Number of most likely tokens that distillation compares one by one; all others count together, as one',
  }),
  loraAlpha: numberKey({ from: 0, above: true }, 8, {
    group: 'Adapter',
    about: 'Alpha: the scale of the adapter, or its numerator, depending on lora_scaling',
  }),
  loraScaling: choiceKey<readonly [RankScaling, ...RankScaling[]], RankScaling>(
    asTuple(RANK_SCALINGS),
    'tapered',
    {
      group: 'Adapter',
      about:
        'Scale of the adapter at rank b (the largest rank is R). tapered: alpha·(1 + 3/(4b)), more at ' +
        'small ranks; uniform: alpha, the default at a single rank; sqrt: alpha/√b; paper: alpha/b; ' +
        'constant: alpha/R',
    },
  ),
  adapterInit: choiceKey(['kaiming', 'gradient', 'activations'], 'kaiming', {
    group: 'Adapter',
    about:
      'Initial values of A; B starts at 0. kaiming: random, as in PEFT; gradient: the directions in which ' +
      'the loss falls fastest over the first steps (64 rows or more), most important first; activations: ' +
      'the main directions of the inputs of a layer (EVA), without subtracting their mean, unlike EVA in ' +
      'PEFT. gradient and activations are estimates, less accurate at a small lora_r',
  }),
  adapterInitNorm: optionalNumberKey(
    { from: 0, above: true },
    {
      group: 'Adapter',
      about: 'Norm of each row of A with adapter_init gradient or activations; 0.577 by default',
    },
  ),
  loraplusLrRatio: numberKey({ from: 0, above: true }, 1, {
    group: 'Adapter',
    about: 'Learning rate of B divided by that of A (LoRA+)',
  }),
  rankRates: {
    group: 'Adapter',
    about:
      'Learning-rate factors of the rows of B that each rank adds: uniform; inverse_sqrt: 1/√b; steep: ' +
      '1.5/b^0.77; or one number per rank. If lora_scaling is tapered or uniform, the default is steep for ' +
      'several ranks and inverse_sqrt for one; otherwise it is uniform',
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
      'Ranks to which the factors of rank_rates belong. By default the ranks of adapter, so that its rows ' +
      'keep their rates, else ranks',
    flag: 'numbers',
    expected: 'a list of different whole numbers ≥ 1',
    schema: ranksSchema,
  },
  updateRule: choiceKey<readonly [UpdateRule, ...UpdateRule[]], UpdateRule>(asTuple(UPDATE_RULES), 'prefix', {
    group: 'Adapter',
    about:
      'Rows that a step at rank b trains. prefix: all rows up to b; newest_block: only those that b adds',
  }),
  preconditioner: choiceKey(PRECONDITIONERS, 'none', {
    group: 'Adapter',
    about:
      'Preconditioner of the gradients. prefix: the gradients of A and B at rank b are multiplied by (B·Bᵀ ' +
      '+ 0.01)⁻¹ and (A·Aᵀ + 0.01)⁻¹ of the first b rows (Riemannian)',
  }),
  loraDropout: numberKey({ from: 0, to: 1, below: true }, 0, {
    group: 'Adapter',
    about:
      'Dropout on the input of the adapter. A run that starts from an adapter uses its dropout unless this ' +
      'key is set',
  }),
  targetModules: {
    group: 'Adapter',
    about:
      'Layers with an adapter: all-linear, names of layers, or a regular expression for whole names. The ' +
      'head and the embeddings never get one',
    flag: 'pattern-or-names',
    expected: 'all-linear, a list of names or a regular expression',
    schema: targetModules.default('all-linear'),
  },
} satisfies Record<string, Key>;
