import type { Sequences } from './sequences.ts';
import { collate, countPredicted, NOT_COUNTED, type Example, type TokenBatch } from '../token-batch.ts';

/** A worker's part in reading the rows of a step. */
export interface StepShare {
  /** This worker's range `[from, to)` of `count` micro batches. */
  rangeOf(count: number): { readonly from: number; readonly to: number };
  /** Gives every worker the parts of all, in the order of the workers. */
  gather(part: Int32Array): Promise<readonly Int32Array[]>;
}

/** The micro batches of a step, of which this worker has read its own. */
export interface SharedBatches {
  /**
   * As `batchAt` returns them. A batch whose rows this worker has not read has the true segments. Its ids are
   * −1, so a model refuses it. The number of counted targets is right; their positions are placeholders.
   */
  readonly batches: readonly TokenBatch[];
  /** Micro batch `index` with its rows, which are read now where this worker has not read them. */
  read(index: number): TokenBatch;
}

/**
 * Reads this worker's rows of a step, and tells the other workers their lengths. Ranges of the workers follow
 * each other and cover all micro batches.
 *
 * @param places the sequences of the step, in order
 */
export async function shareStep(
  sequences: Sequences,
  places: readonly number[],
  { microBatchSize, share }: { readonly microBatchSize: number; readonly share: StepShare },
): Promise<SharedBatches> {
  const range = share.rangeOf(Math.ceil(places.length / microBatchSize));
  const end = Math.min(range.to * microBatchSize, places.length);
  const groups = new Map<number, readonly Example[]>();
  const groupAt = (i: number): readonly Example[] => {
    const group = groups.get(i) ?? sequences.at(places[i]);
    groups.set(i, group);
    return group;
  };
  const lengths: number[] = [];
  for (let i = range.from * microBatchSize; i < end; i++) lengths.push(...writeLengths(groupAt(i)));
  const all = (await share.gather(Int32Array.from(lengths))).flatMap(readLengths);
  // a sequence is empty where a streamed row has no token to predict; it takes no place of a micro batch
  const full = [...all.keys()].filter((i) => all[i].length > 0);
  const members = Array.from({ length: Math.ceil(full.length / microBatchSize) }, (_, batch) =>
    full.slice(batch * microBatchSize, (batch + 1) * microBatchSize),
  );
  const isRead = members.map((places) => places.every((i) => groups.has(i)));
  const readNow = (index: number): TokenBatch => collate(members[index].flatMap(groupAt));
  const batches = members.map((places, index) =>
    isRead[index] ? readNow(index) : unreadBatch(places.flatMap((i) => all[i])),
  );
  return { batches, read: (index) => (isRead[index] ? batches[index] : readNow(index)) };
}

/** Tokens of one example, and how many of them the loss counts. */
interface ExampleLengths {
  readonly tokens: number;
  readonly predicted: number;
}

/** The number of examples of a sequence, then the lengths of each: [1 + 2 · examples] */
const writeLengths = (group: readonly Example[]): number[] => [
  group.length,
  ...group.flatMap(({ ids, labels }) => [ids.length, countPredicted(labels)]),
];

/** Of each sequence, the lengths of its examples. */
function readLengths(numbers: Int32Array): ExampleLengths[][] {
  const sequences: ExampleLengths[][] = [];
  for (let at = 0; at < numbers.length;) {
    const count = numbers[at++];
    const sequence = Array.from({ length: count }, (_, i) => ({
      tokens: numbers[at + 2 * i],
      predicted: numbers[at + 2 * i + 1],
    }));
    sequences.push(sequence);
    at += 2 * count;
  }
  return sequences;
}

/** No model has it: a pass over a batch that was not read is refused. */
const UNREAD_ID = -1;

/** A batch with segments of these lengths, whose rows are not here. */
function unreadBatch(examples: readonly ExampleLengths[]): TokenBatch {
  const segments = new Int32Array(examples.length + 1);
  examples.forEach(({ tokens }, i) => {
    segments[i + 1] = segments[i] + tokens;
  });
  const tokens = segments[examples.length];
  const targets = new Int32Array(tokens).fill(NOT_COUNTED);
  examples.forEach(({ predicted }, i) => targets.fill(UNREAD_ID, segments[i], segments[i] + predicted));
  return {
    ids: new Int32Array(tokens).fill(UNREAD_ID),
    targets,
    positions: new Int32Array(tokens),
    segments,
    predictedTokens: examples.reduce((sum, { predicted }) => sum + predicted, 0),
  };
}
