import { assertArgument } from '@qdylora/contract';
import { exampleAt, type ExampleSource } from '../stream/example-source.ts';
import type { Example } from '../token-batch.ts';

/**
 * The sequences of a dataset: single examples, or packs of examples. A sequence takes one place of a micro
 * batch.
 */
export interface Sequences {
  readonly length: number;
  at(index: number): readonly Example[];
}

/** Each example as a sequence of its own. */
export const singleSequences = (source: ExampleSource): Sequences => ({
  length: source.length,
  at(index) {
    const example = exampleAt(source, index);
    return example ? [example] : [];
  },
});

/**
 * The lengths of examples. @throws QdyloraError BAD_ARGUMENT if they are unknown; `option` names the option
 * that needs them.
 */
export function lengthsOf(source: ExampleSource, option: string): (index: number) => number {
  assertArgument(
    source.lengthAt,
    option,
    'The lengths of the examples must be known, but lengthAt of this source is null',
    'Use openDataset with measure: true, or give your own source a lengthAt.',
  );
  return (index) => source.lengthAt!(index);
}
