import type { DatasetFile, Reading } from '../dataset-options.ts';
import { joinSources, mixSources, type ExampleSource } from './example-source.ts';

/** What is trained on of one file. */
export interface FileSource { readonly file: DatasetFile; readonly source: ExampleSource }

/** The files of each name one after the other, and each name as often as its weight says: half of a pattern is half of all its rows, however few each file has. */
export const mixFiles = (parts: readonly FileSource[], { names, seed }: Pick<Reading, 'names' | 'seed'>): ExampleSource =>
  mixSources(names.map(({ weight }, name) => ({ weight, source: joinSources(parts.filter(({ file }) => file.name === name).map(({ source }) => source)) })), seed);
