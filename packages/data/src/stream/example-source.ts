import { assertArgument, createRng } from '@qdylora/contract';
import type { Example } from '../token-batch.ts';
import { permuteIndex } from './permute-index.ts';

/** Examples by their index: an array of them is one way, a file that is read when they are asked for is another. */
export interface ExampleSource {
  readonly length: number;
  /** Example `index`; null where a row turns out to have nothing to predict. The same each time. */
  at(index: number): Example | null;
  /** Tokens of an example, known without reading it; null where nobody measured them. */
  readonly lengthAt: ((index: number) => number) | null;
}

export function arraySource(examples: readonly Example[]): ExampleSource {
  return { length: examples.length, at: (index) => examples[index]!, lengthAt: (index) => examples[index]!.ids.length };
}

export const isExampleArray = (examples: readonly Example[] | ExampleSource): examples is readonly Example[] => Array.isArray(examples);

/** Any examples as a source. */
export const sourceOf = (examples: readonly Example[] | ExampleSource): ExampleSource => (isExampleArray(examples) ? arraySource(examples) : examples);

/** The first example with a token to predict, at or after `from`; undefined where there is none among the next thousand. */
export function firstExample(examples: readonly Example[] | ExampleSource, from = 0): Example | undefined {
  const source = sourceOf(examples);
  for (let i = from; i < Math.min(source.length, from + 1000); i++) {
    const example = source.at(i);
    if (example) return example;
  }
  return undefined;
}

export interface WeightedSource { readonly source: ExampleSource; /** How often its examples come in an epoch. */ readonly weight: number }

/**
 * Several sources as one, each as often as its weight says: 2 brings every example twice, 0.5 half of them, chosen by the seed and the same in each epoch.
 * The order is that of the sources: shuffling is for `createBatches`.
 *
 * @throws QdyloraError BAD_ARGUMENT for a weight that is no number ≥ 0.
 */
export function mixSources(parts: readonly WeightedSource[], seed: number): ExampleSource {
  const starts = [0], chosen = parts.map(({ source, weight }, part) => {
    assertArgument(Number.isFinite(weight) && weight >= 0, 'dataset_weights', `expected numbers ≥ 0, got ${weight}`);
    const count = Math.round(weight * source.length), whole = Math.floor(count / Math.max(1, source.length)) * source.length;
    starts.push(starts.at(-1)! + count);
    const share = permuteIndex(source.length, createRng(seed).named(`mixture ${part}`));
    return (slot: number): number => (slot < whole ? slot % source.length : share(slot % source.length));
  });
  const length = starts.at(-1)!, locate = (index: number): [ExampleSource, number] => {
    let part = 0;
    while (starts[part + 1]! <= index) part++;
    return [parts[part]!.source, chosen[part]!(index - starts[part]!)];
  };
  return {
    length,
    at(index) { const [source, at] = locate(index); return source.at(at); },
    lengthAt: parts.some(({ source }) => !source.lengthAt) ? null : (index) => { const [source, at] = locate(index); return source.lengthAt!(at); },
  };
}

