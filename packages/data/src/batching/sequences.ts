import { assertArgument } from '@qdylora/contract';
import type { ExampleSource } from '../stream/example-source.ts';
import type { Example } from '../token-batch.ts';

/** Examples one by one, or in packs: a sequence takes one place in a micro batch. */
export interface Sequences {
  readonly length: number;
  at(index: number): readonly Example[];
}

/** Each example as a sequence of its own. */
export const singleSequences = (source: ExampleSource): Sequences => ({
  length: source.length,
  at(index) {
    const example = source.at(index);
    return example ? [example] : [];
  },
});

/** @throws QdyloraError BAD_ARGUMENT where the lengths are not known. `option` names what needs them. */
export function lengthsOf({ lengthAt }: ExampleSource, option: string): (index: number) => number {
  assertArgument(
    lengthAt,
    option,
    'The lengths of the examples must be known, but this streamed dataset was not measured',
    'Open it with measure: true.',
  );
  return lengthAt;
}
