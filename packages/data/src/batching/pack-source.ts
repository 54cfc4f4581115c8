import { assertArgument, createRng } from '@qdylora/contract';
import { exampleAt, type ExampleSource } from '../stream/example-source.ts';
import { permuteIndex } from '../stream/permute-index.ts';
import type { Example } from '../token-batch.ts';
import { packSequences } from './pack-sequences.ts';
import { lengthsOf, type Sequences } from './sequences.ts';

/**
 * Number of examples that are packed together. For lengths spread evenly over 1…1,024, windows of 4,096 leave
 * 0.9 % of the tokens of packs of 1,024 unused, and one window of 40,960 leaves 0.3 %. For lengths whose
 * logarithm is spread evenly: 0.1 % and 0.02 %.
 */
const PACKING_WINDOW = 4096;

export interface PackOptions {
  /** Tokens per pack, at most. */
  readonly maxSeqLength: number;
  /** True packs examples in a random order; false in the order of the source. */
  readonly shuffle: boolean;
  readonly seed: number;
}

/**
 * Packs examples into sequences of at most `maxSeqLength` tokens, by first-fit decreasing within windows of
 * the shuffled examples.
 * The packs are the same in each epoch; only their order differs. Keeps 8 bytes per example, never the
 * examples.
 *
 * @throws QdyloraError BAD_ARGUMENT for an example longer than a pack, or a source without known lengths;
 * when a pack is read, for an example of another length than `lengthAt` said.
 */
export function packSource(source: ExampleSource, { maxSeqLength, shuffle, seed }: PackOptions): Sequences {
  const lengthAt = lengthsOf(source, 'packing');
  const at = shuffle
    ? permuteIndex(source.length, createRng(seed).named('packing'))
    : (place: number): number => place;
  const members = new Uint32Array(source.length);
  const ends: number[] = []; // pack p: members[ends[p − 1] … ends[p])
  let placed = 0;
  for (let from = 0; from < source.length; from += PACKING_WINDOW) {
    const window = Array.from({ length: Math.min(PACKING_WINDOW, source.length - from) }, (_, i) =>
      at(from + i),
    );
    for (const pack of packSequences(window.map(lengthAt), maxSeqLength)) {
      for (const place of pack) members[placed++] = window[place];
      ends.push(placed);
    }
  }
  const offsets = Uint32Array.from(ends);
  return {
    length: offsets.length,
    at: (pack) =>
      Array.from(members.subarray(pack === 0 ? 0 : offsets[pack - 1], offsets[pack])).flatMap(
        (index) => readMeasured(source, index, lengthAt(index)) ?? [],
      ),
  };
}

/** Reads an example for which a pack has `length` tokens of room. */
function readMeasured(source: ExampleSource, index: number, length: number): Example | null {
  const example = exampleAt(source, index);
  const tokens = (example as Partial<Example> | null)?.ids?.length ?? length; // collate refuses missing ids
  assertArgument(
    tokens === length,
    'packing',
    `Example ${index} has ${tokens} tokens, but lengthAt(${index}) of its source is ${length}`,
    'Give the exact lengths: packs are made of them.',
  );
  return example;
}
