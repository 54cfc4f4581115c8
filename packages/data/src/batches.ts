import { assertArgument, createRng, QdyloraError, shuffledIndices } from '@qdylora/contract';
import { packSequences } from './pack-sequences.ts';
import { collate, type Example, type TokenBatch } from './token-batch.ts';

export interface BatchOptions {
  /** Sequences in one forward pass: examples, or packs of examples. */
  readonly microBatchSize: number;
  /** Micro batches of one optimizer step. */
  readonly gradientAccumulationSteps: number;
  /** A new order in each epoch; false keeps the order of the file. */
  readonly shuffle: boolean;
  readonly seed: number;
  /** Several examples to a sequence of at most `maxSeqLength` tokens. They do not see each other. */
  readonly packing: boolean;
  readonly maxSeqLength: number;
  /** This process among `workers`, which share the sequences of every step. */
  readonly worker?: number;
  readonly workers?: number;
}

export interface Batches {
  readonly stepsPerEpoch: number;
  /** Sequences of a full step over all workers; the last step of an epoch may hold fewer. */
  readonly examplesPerStep: number;
  /** Sequences of one epoch: the examples, or the packs made of them. */
  readonly sequences: number;
  /** This worker's micro batches of optimizer step `step`: a pure function of it, so a resumed run needs no cursor. Empty where a short last step leaves this worker none. */
  batchAt(step: number): TokenBatch[];
  epochAt(step: number): number;
}

/**
 * The examples as optimizer steps, going round for as long as one asks. Each epoch visits each example once; epoch e is ordered by (seed, e).
 *
 * @throws QdyloraError BAD_DATA without examples; BAD_ARGUMENT for sizes that are not whole numbers ≥ 1, or an example longer than a pack.
 */
export function createBatches(examples: readonly Example[], options: BatchOptions): Batches {
  const { microBatchSize, gradientAccumulationSteps, shuffle, seed, worker = 0, workers = 1 } = options;
  check(examples, options);
  const sequences = options.packing ? packed(examples, options.maxSeqLength) : examples.map((example) => [example]);
  const perStep = microBatchSize * gradientAccumulationSteps * workers;
  const stepsPerEpoch = Math.ceil(sequences.length / perStep);
  const orderOf = epochOrder(sequences.length, shuffle, seed);
  const epochAt = (step: number): number => {
    assertArgument(Number.isSafeInteger(step) && step >= 0, 'batches', `expected a whole number ≥ 0 for a step, got ${step}`);
    return Math.floor(step / stepsPerEpoch);
  };
  return {
    stepsPerEpoch, examplesPerStep: perStep, sequences: sequences.length, epochAt,
    batchAt(step) {
      const order = orderOf(epochAt(step)), from = (step % stepsPerEpoch) * perStep;
      const mine = Array.from(order.subarray(from, from + perStep)).filter((_, i) => i % workers === worker);
      return splitIntoMicroBatches(mine.map((index) => sequences[index]!), microBatchSize);
    },
  };
}

/** Consecutive groups of `microBatchSize` sequences (an example, or several packed ones), each as one batch; the last may be smaller. */
export function splitIntoMicroBatches(sequences: readonly (Example | readonly Example[])[], microBatchSize: number): TokenBatch[] {
  assertWhole('microBatchSize', microBatchSize);
  const batches: TokenBatch[] = [];
  for (let from = 0; from < sequences.length; from += microBatchSize) batches.push(collate(sequences.slice(from, from + microBatchSize).flat()));
  return batches;
}

const packed = (examples: readonly Example[], capacity: number): Example[][] =>
  packSequences(examples.map(({ ids }) => ids.length), capacity).map((pack) => pack.map((index) => examples[index]!));

/** The order of an epoch, keeping the last one asked for. */
function epochOrder(length: number, shuffle: boolean, seed: number): (epoch: number) => Uint32Array {
  const rng = createRng(seed).named('shuffle');
  let kept = { epoch: -1, order: Uint32Array.from({ length }, (_, i) => i) };
  return (epoch) => {
    if (shuffle && kept.epoch !== epoch) kept = { epoch, order: Uint32Array.from(shuffledIndices(length, rng, epoch)) };
    return kept.order;
  };
}

function check(examples: readonly Example[], { microBatchSize, gradientAccumulationSteps, worker = 0, workers = 1 }: BatchOptions): void {
  if (examples.length === 0) throw new QdyloraError('BAD_DATA', { where: 'batches', problem: 'expected at least one example for training, got none', nextStep: 'Read the report of loadDataset: it says what became of the rows.' });
  assertWhole('microBatchSize', microBatchSize);
  assertWhole('gradientAccumulationSteps', gradientAccumulationSteps);
  assertWhole('workers', workers);
  assertArgument(Number.isInteger(worker) && worker >= 0 && worker < workers, 'batches', `expected 0…${workers - 1} for worker, got ${worker}`);
}

function assertWhole(name: string, value: number): void {
  assertArgument(Number.isSafeInteger(value) && value >= 1, 'batches', `expected a whole number ≥ 1 for ${name}, got ${value}`);
}
