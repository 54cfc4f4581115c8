import {
  assertArgument,
  checkOptions,
  createRng,
  QdyloraError,
  required,
  shownValue,
  trueOrFalse,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { sourceOf, type ExampleSource } from '../stream/example-source.ts';
import { permuteIndex } from '../stream/permute-index.ts';
import { collate, type Example, type TokenBatch } from '../token-batch.ts';
import { lengthGroupedSteps } from './length-grouped-steps.ts';
import { packSource } from './pack-source.ts';
import { lengthsOf, singleSequences } from './sequences.ts';
import { shareStep, type SharedBatches, type StepShare } from './share-step.ts';

/**
 * Options of `createBatches`: the number of sequences in a step, their order, and whether they are packed.
 */
export interface BatchOptions {
  /** Sequences in one forward pass: examples, or packs of examples. */
  readonly microBatchSize: number;
  /** Micro batches of one optimizer step. */
  readonly gradientAccumulationSteps: number;
  /** Shuffles in each epoch; false keeps the order of the files. */
  readonly shuffle: boolean;
  /** Seed of the shuffle, of the packs and of the order of grouped steps. */
  readonly seed: number;
  /**
   * Packs several examples into a sequence of at most `maxSeqLength` tokens. They do not attend to each
   * other.
   */
  readonly packing: boolean;
  /** Tokens per pack, at most. Used only with `packing`. */
  readonly maxSeqLength: number;
  /**
   * Groups examples of similar length into steps, which makes step times and memory even. The order of the
   * steps is random in each epoch. Not with packing, which fills every sequence. Default: false.
   */
  readonly groupByLength?: boolean;
}

const RULES: OptionRules<BatchOptions> = {
  microBatchSize: required(wholeNumber(1)),
  gradientAccumulationSteps: required(wholeNumber(1)),
  shuffle: required(trueOrFalse),
  seed: required(wholeNumber()),
  packing: required(trueOrFalse),
  maxSeqLength: required(wholeNumber(1)),
  groupByLength: trueOrFalse,
};

/** The micro batches of every optimizer step, computed from the step's number. */
export interface Batches {
  readonly stepsPerEpoch: number;
  /** Sequences per step; the last step of an epoch may have fewer. */
  readonly sequencesPerStep: number;
  /** Sequences per epoch: examples, or packs of examples. */
  readonly sequences: number;
  /**
   * The micro batches of one optimizer step.
   * A pure function of `step`, so a resumed run needs no cursor. For a streamed dataset the rows of the step
   * are read now; rows without a token to predict are left out.
   */
  batchAt(step: number): TokenBatch[];
  /**
   * The same for one of several workers, which reads only the rows of its own micro batches. All workers call
   * it.
   */
  shareAt(step: number, share: StepShare): Promise<SharedBatches>;
  /** The epoch of a step, from 0. */
  epochAt(step: number): number;
}

/**
 * Arranges examples into optimizer steps, for any number of epochs.
 * Each epoch visits each example once, in an order given by (seed, epoch). No order is kept in memory: each
 * position is computed.
 *
 * @throws QdyloraError BAD_DATA without examples. BAD_ARGUMENT for examples that are neither an array nor a
 * source, unknown or invalid options, an example longer than a pack, `packing` together with `groupByLength`,
 * or either of them for a source without known lengths.
 */
export function createBatches(examples: readonly Example[] | ExampleSource, options: BatchOptions): Batches {
  checkOptions('batches', options, RULES);
  const { microBatchSize, gradientAccumulationSteps } = options;
  const source = sourceOf(examples);
  assertBatchable(source, options);
  const sequences = options.packing ? packSource(source, options) : singleSequences(source);
  const perStep = microBatchSize * gradientAccumulationSteps;
  const stepsPerEpoch = Math.ceil(sequences.length / perStep);
  const orderOfEpoch = stepOrder(source, sequences.length, perStep, options);
  const epochAt = (step: number): number => {
    assertArgument(
      Number.isSafeInteger(step) && step >= 0,
      'batches',
      `The step must be a whole number ≥ 0 (got ${step})`,
    );
    return Math.floor(step / stepsPerEpoch);
  };
  const placesOf = (step: number): number[] => orderOfEpoch(epochAt(step), step % stepsPerEpoch);
  return {
    stepsPerEpoch,
    sequencesPerStep: perStep,
    sequences: sequences.length,
    epochAt,
    batchAt: (step) =>
      splitIntoMicroBatches(
        placesOf(step)
          .map((index) => sequences.at(index))
          .filter((group) => group.length > 0),
        microBatchSize,
      ),
    shareAt: async (step, share) => shareStep(sequences, placesOf(step), { microBatchSize, share }),
  };
}

/**
 * Splits sequences (examples, or packs of examples) into batches of `microBatchSize` in their order; the last
 * batch may be smaller.
 */
export function splitIntoMicroBatches(
  sequences: readonly (Example | readonly Example[])[],
  microBatchSize: number,
): TokenBatch[] {
  assertArgument(
    Array.isArray(sequences),
    'batches',
    `The argument must be an array of examples (got ${shownValue(sequences)})`,
  );
  assertArgument(
    Number.isSafeInteger(microBatchSize) && microBatchSize >= 1,
    'batches',
    `\`microBatchSize\` must be a whole number ≥ 1 (got ${shownValue(microBatchSize)})`,
  );
  const batches: TokenBatch[] = [];
  for (let from = 0; from < sequences.length; from += microBatchSize)
    batches.push(collate(sequences.slice(from, from + microBatchSize).flat()));
  return batches;
}

/** Indices of the sequences of one step of an epoch. */
function stepOrder(
  source: ExampleSource,
  length: number,
  perStep: number,
  { shuffle, seed, groupByLength: grouped = false }: BatchOptions,
): (epoch: number, step: number) => number[] {
  const rng = createRng(seed).named('shuffle');
  const orderOf = (epoch: number): ((place: number) => number) =>
    shuffle ? permuteIndex(length, rng, epoch) : (place) => place;
  if (grouped)
    return lengthGroupedSteps(lengthsOf(source, 'group_by_length'), {
      length,
      perStep,
      orderOf,
      rng: rng.named('groups'),
    });
  return (epoch, step) => {
    const at = orderOf(epoch);
    const from = step * perStep;
    return Array.from({ length: Math.min(perStep, length - from) }, (_, i) => at(from + i));
  };
}

function assertBatchable(
  { length }: ExampleSource,
  { packing, groupByLength: grouped = false }: BatchOptions,
): void {
  if (length === 0)
    throw new QdyloraError('BAD_DATA', {
      where: 'batches',
      problem: 'There is no example for training.',
      nextStep: 'Read the report of loadDataset: it says what became of the rows.',
    });
  assertArgument(
    !(packing && grouped),
    'batches',
    '`packing` and `group_by_length` exclude each other',
    'Packing fills every sequence, so there is nothing left to group.',
  );
}
