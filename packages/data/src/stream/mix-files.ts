import type { DatasetFile, Reading } from '../dataset/dataset-options.ts';
import { joinSources, mixSources, type ExampleSource } from './example-source.ts';

/** The training examples of one file. */
export interface FileSource {
  readonly file: DatasetFile;
  readonly source: ExampleSource;
}

/**
 * Concatenates the files of each name, and combines the names by their weights. Weight 0.5 selects half of
 * all rows of a pattern, not half of each file.
 */
export function mixFiles(
  parts: readonly FileSource[],
  { names, seed }: Pick<Reading, 'names' | 'seed'>,
): ExampleSource {
  const sources = names.map((): ExampleSource[] => []);
  for (const {
    file: { nameIndex },
    source,
  } of parts)
    sources[nameIndex].push(source);
  return mixSources(
    names.map(({ weight }, i) => ({ weight, source: joinSources(sources[i]) })),
    seed,
  );
}
