import { assertArgument, createRng, QdyloraError, shownValue } from '@qdylora/contract';
import type { Example } from '../token-batch.ts';
import { permuteIndex } from './permute-index.ts';

/** Examples by index: an array, or a file whose rows are read on demand. */
export interface ExampleSource {
  readonly length: number;
  /**
   * Example `index`; null if the row has no token to predict. Synchronous and pure: the same example each
   * time, however often and in whichever order it is read.
   */
  at(index: number): Example | null;
  /**
   * Number of tokens of an example without reading it; null if the lengths are unknown, which excludes
   * packing and grouping by length. Of a row that turns out to be null when it is read, any length from 1.
   */
  readonly lengthAt: ((index: number) => number) | null;
}

export function arraySource(examples: readonly Example[]): ExampleSource {
  return {
    length: examples.length,
    at: (index) => examples[index],
    lengthAt: (index) => examples[index].ids.length,
  };
}

const isExampleArray = (examples: readonly Example[] | ExampleSource): examples is readonly Example[] =>
  Array.isArray(examples);

/**
 * Converts examples to a source. @throws QdyloraError BAD_ARGUMENT for anything but an array or a source,
 * such as a whole dataset or a promise
 */
export function sourceOf(examples: readonly Example[] | ExampleSource): ExampleSource {
  if (isExampleArray(examples)) return arraySource(examples);
  assertArgument(
    isSource(examples),
    'examples',
    'The examples must be an array, or a source with length, at and lengthAt (got ' +
      `${examples instanceof Promise ? 'a promise' : shownValue(examples)})`,
    adviceFor(examples),
  );
  return examples;
}

const isSource = (value: unknown): value is ExampleSource => {
  const { length, at, lengthAt } = (
    typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) ? value : {}
  ) as Partial<ExampleSource>;
  const isMeasured = typeof lengthAt === 'function';
  return (
    Number.isSafeInteger(length) &&
    length! >= 0 &&
    typeof at === 'function' &&
    (isMeasured || (lengthAt ?? null) === null)
  );
};

/**
 * Reads example `index` of a source.
 *
 * @throws QdyloraError BAD_ARGUMENT if `at` returned a promise
 */
export function exampleAt(source: ExampleSource, index: number): Example | null {
  const example: unknown = source.at(index);
  assertArgument(
    typeof (example as { then?: unknown } | null | undefined)?.then !== 'function',
    'examples',
    `at(${index}) of the source returned a promise, but examples are read synchronously`,
    'Return the example itself: read files with readSync, or read ahead into memory.',
  );
  return example as Example | null;
}

function adviceFor(examples: unknown): string {
  if (examples instanceof Promise) return 'Await it first: const { training } = await loadDataset(…).';
  if (typeof examples === 'object' && examples !== null && 'training' in examples)
    return 'Give its training examples: dataset.training.';
  return 'loadDataset and openDataset return such examples as training.';
}

/**
 * The first example with a token to predict, at or after `from`; undefined if there is none among the next
 * thousand.
 */
export function firstExample(examples: readonly Example[] | ExampleSource, from = 0): Example | undefined {
  const source = sourceOf(examples);
  for (let i = from; i < Math.min(source.length, from + 1000); i++) {
    const example = exampleAt(source, i);
    if (example) return example;
  }
  return undefined;
}

/** A source of a mixture (`mixSources`), and its share in an epoch. */
export interface WeightedSource {
  readonly source: ExampleSource;
  /** How often its examples occur in an epoch. */
  readonly weight: number;
}

/** The most examples that a permutation can order. */
const MOST_EXAMPLES = 2 ** 48;

/**
 * Combines several sources; each occurs as often as its weight says. 2: every example twice. 0.5: half of the
 * examples, chosen by the seed, the same in each epoch. The order is that of the sources; `createBatches`
 * shuffles.
 *
 * @throws QdyloraError BAD_ARGUMENT for a weight that is not a number of at least 0; BAD_CONFIG for a weight
 * above 0 that selects no example of a source, and for more than 2^48 examples.
 */
export function mixSources(parts: readonly WeightedSource[], seed: number): ExampleSource {
  return joinSources(
    parts.map(({ source, weight }, part) => {
      assertArgument(
        Number.isFinite(weight) && weight >= 0,
        'dataset_weights',
        `The weights must be numbers ≥ 0 (got ${weight})`,
      );
      const { length } = source;
      const count = Math.round(weight * length);
      const whole = Math.floor(count / Math.max(1, length)) * length;
      if (count === 0 && weight > 0 && length > 0)
        throw badWeights(
          `The weight ${weight} is too small to bring one of the ${length} rows`,
          'Raise it, or leave the rows out with 0.',
        );
      if (count > MOST_EXAMPLES)
        throw badWeights(
          `An epoch of ${weight} times ${length} rows has more than 2^48 rows`,
          'Lower the weights: only their ratios matter for the mixture.',
        );
      const share = permuteIndex(length, createRng(seed).named(`mixture ${part}`));
      const chosen = (slot: number): number => (slot < whole ? slot % length : share(slot % length));
      return {
        length: count,
        at: (slot) => source.at(chosen(slot)),
        lengthAt: source.lengthAt && ((slot) => source.lengthAt!(chosen(slot))),
      };
    }),
  );
}

/** Concatenates several sources. */
export function joinSources(sources: readonly ExampleSource[]): ExampleSource {
  const starts = [0];
  for (const { length } of sources) starts.push(starts.at(-1)! + length);
  const locate = (index: number): [ExampleSource, number] => {
    let [first, behind] = [0, sources.length]; // bisection: a pattern may match thousands of files
    while (behind - first > 1) {
      const middle = (first + behind) >> 1;
      if (starts[middle] <= index) first = middle;
      else behind = middle;
    }
    return [sources[first], index - starts[first]];
  };
  return {
    length: starts.at(-1)!,
    at(index) {
      const [source, at] = locate(index);
      return source.at(at);
    },
    lengthAt: sources.some(({ lengthAt }) => !lengthAt)
      ? null
      : (index) => {
          const [source, at] = locate(index);
          return source.lengthAt!(at);
        },
  };
}

const badWeights = (problem: string, nextStep: string): QdyloraError =>
  new QdyloraError('BAD_CONFIG', { where: 'dataset_weights', problem, nextStep });
