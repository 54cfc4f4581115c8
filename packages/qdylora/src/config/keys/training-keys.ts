import { SCHEDULE_NAMES } from '@qdylora/trainer';
import * as z from 'zod';
import { readByteSize } from '../values/byte-size.ts';
import { booleanKey, bytesKey, choiceKey, numberKey, optionalNumberKey, textKey, type Key } from '../key.ts';

/** Optimizers by their names in the field. */
export const OPTIMIZERS = [
  'adamw_32bit',
  'adamw_8bit',
  'paged_adamw_32bit',
  'paged_adamw_8bit',
  'lion_8bit',
  'sgd',
] as const;

/** All layers or none, a number of layers at a time, or the memory that the whole run may take. */
const gradientCheckpointing = z.union([
  z.boolean(),
  z.number().int().gte(1).lte(1024),
  z.string().refine((text) => /[A-Za-z]/.test(text) && readByteSize(text) !== null),
]);

/** The steps: batches and the learning rate. */
const STEP_KEYS = {
  microBatchSize: numberKey({ from: 1, to: 65536, whole: true }, 4, {
    group: 'Training',
    about: 'Rows of one forward and backward pass',
  }),
  gradientAccumulationSteps: numberKey({ from: 1, to: 65536, whole: true }, 2, {
    group: 'Training',
    about: 'Passes of one optimizer step',
  }),
  numEpochs: numberKey({ from: 0, above: true }, 1, { group: 'Training', about: 'Passes over the dataset' }),
  maxSteps: optionalNumberKey(
    { from: 1, whole: true },
    { group: 'Training', about: 'Optimizer steps, over as many epochs as they take; overrides num_epochs' },
  ),
  learningRate: optionalNumberKey(
    { from: 0, above: true },
    {
      group: 'Training',
      about:
        'Peak learning rate; by default 5e-4·(2000/hidden size)^0.781 for adapters, rounded to two digits, ' +
        'and 2e-4 for full training',
    },
  ),
  lrScheduler: choiceKey(SCHEDULE_NAMES, 'cosine', {
    group: 'Training',
    about: 'Decay of the learning rate after the warm-up',
  }),
  minLearningRateRatio: optionalNumberKey(
    { from: 0, to: 1 },
    {
      group: 'Training',
      about:
        'Final learning rate of cosine, polynomial and warmup_stable_decay, as a fraction of the peak; 0 ' +
        'by default, and for polynomial a rate of 1e-7, as in transformers',
    },
  ),
  warmupRatio: optionalNumberKey(
    { from: 0, to: 1, below: true },
    {
      group: 'Training',
      about:
        'Warm-up as a fraction of the steps; 0.05 by default. The first warm-up step has rate 0, as in ' +
        'transformers',
    },
  ),
  warmupSteps: optionalNumberKey(
    { from: 0, whole: true },
    { group: 'Training', about: 'Warm-up in steps, instead of warmup_ratio; the first has rate 0' },
  ),
  lrNumCycles: optionalNumberKey(
    { from: 0, above: true },
    { group: 'Training', about: 'Waves of cosine (0.5 by default), restarts of cosine_with_restarts (1)' },
  ),
  lrPower: optionalNumberKey(
    { from: 0, above: true },
    { group: 'Training', about: 'Power of polynomial; 1 by default' },
  ),
  lrTimescale: optionalNumberKey(
    { from: 0, above: true },
    { group: 'Training', about: 'Steps until inverse_sqrt has fallen to 1/√2; the warm-up by default' },
  ),
  lrNumDecaySteps: optionalNumberKey(
    { from: 0, whole: true },
    { group: 'Training', about: 'Decay steps of warmup_stable_decay; a tenth of all by default' },
  ),
} satisfies Record<string, Key>;

/** The optimizer, and the memory that training takes. */
const OPTIMIZER_KEYS = {
  weightDecay: numberKey({ from: 0 }, 0, {
    group: 'Training',
    about: 'Weight decay of matrices; decoupled, except in sgd',
  }),
  maxGradNorm: numberKey({ from: 0 }, 1, {
    group: 'Training',
    about: 'Clips the global gradient norm; 0 turns clipping off',
  }),
  optimizer: choiceKey(OPTIMIZERS, 'adamw_32bit', {
    group: 'Training',
    about:
      '8bit: optimizer states of one byte, in blocks of 256; paged: at most optimizer_memory_budget of the ' +
      'states in memory, the others in a file (on a GPU: in pinned memory of the system), with the same ' +
      'results',
  }),
  adamBeta1: optionalNumberKey(
    { from: 0, to: 1, below: true },
    { group: 'Training', about: 'Decay of the first moment, also of lion; 0.9 by default' },
  ),
  adamBeta2: optionalNumberKey(
    { from: 0, to: 1, below: true },
    { group: 'Training', about: 'Decay of the second moment; 0.999 by default, 0.99 for lion' },
  ),
  adamEpsilon: optionalNumberKey(
    { from: 0, above: true },
    { group: 'Training', about: 'Added to the root of the second moment; 1e-8 by default' },
  ),
  optimizerMemoryBudget: bytesKey({
    group: 'Training',
    about:
      'Memory for the states of a paged optimizer (64MB, 1GB), for each worker; by default half of the free' +
      ' memory, which the workers of a host share equally',
  }),
  pageDir: textKey({
    group: 'Training',
    about: 'Folder for the pages that exceed the budget; output_dir by default',
  }),
  gradientCheckpointing: {
    group: 'Training',
    about:
      'Recompute activations in the backward pass instead of storing them. true: in every layer; n: n ' +
      'layers at a time; a size such as 8GB: in as few layers as the run needs to fit into that much ' +
      'memory. The results are the same',
    flag: 'boolean-or-size',
    expected: 'true, false, a number of layers from 1 to 1024, or a size with a unit such as 8GB',
    schema: gradientCheckpointing.default(true),
  },
  activationOffload: booleanKey(false, {
    group: 'Training',
    about:
      'On a GPU: keep the inputs of recomputed layers in pinned memory of the system until the backward ' +
      'pass needs them. The results are the same',
  }),
} satisfies Record<string, Key>;

export const TRAINING_KEYS = { ...STEP_KEYS, ...OPTIMIZER_KEYS };
