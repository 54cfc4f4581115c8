import {
  abortSignal,
  assertArgument,
  checkOptions,
  either,
  numberWithin,
  objectWith,
  oneOf,
  optionRule,
  orNull,
  QdyloraError,
  required,
  shownValue,
  someText,
  trueOrFalse,
  wholeNumber,
  type OptionRule,
  type OptionRules,
} from '@qdylora/contract';
import { BAD_ROW_POLICIES, badRows, type BadRowPolicy, type BadRows } from './bad-rows.ts';
import { PLAIN_TEXT, type DatasetFormat } from './dataset-format.ts';
import { noNotesYet, type TemplateNotes } from '../formats/note-template.ts';
import { rowLabeller, type RowLabeller } from '../formats/row-labeller.ts';
import { assertTokenizer } from '../formats/row-format.ts';
import { noRowsYet, type RowCounts } from './keep-example.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { expandGlobs } from '../file-names/expand-globs.ts';
import { statOf } from '../file-names/stat-of.ts';
import { readPlainText } from '../rows/read-plain-text.ts';
import { textWindows } from '../text-windows.ts';
import type { Example } from '../token-batch.ts';

/**
 * Options of `loadDataset` and `openDataset`: which rows are read, how they become tokens, and which are held
 * out.
 */
export interface DatasetOptions {
  /** May be null only for rows of `input_ids`. */
  readonly tokenizer: Tokenizer | null;
  /** Maximum tokens per row; longer rows are cut on the right. Default: 1024. */
  readonly maxSeqLength?: number;
  /** Format of the rows. Default: detected from the first row of each file; `.txt` files are plain text. */
  readonly datasetFormat?: DatasetFormat;
  /**
   * How often the rows of each name occur in an epoch (all files of a pattern together): 2 = twice, 0.5 =
   * half of them, 0 = never, and none is held out. Default: 1 for all.
   */
  readonly weights?: readonly number[];
  /**
   * `error`: a row that cannot be used is an error that names file and line. `skip`: it is left out and
   * counted. Default: `error`.
   */
  readonly onBadRow?: BadRowPolicy;
  /** Loss on answers only, in formats that separate prompts from answers. Default: true. */
  readonly completionOnlyLoss?: boolean;
  /**
   * Formats prompts and answers with the tokenizer's chat template; `messages` always are. Default: false.
   */
  readonly applyChatTemplate?: boolean;
  /** Rows held out for evaluation: a count, or a fraction below 1. Their hashes decide which. Default: 0. */
  readonly heldOut?: number;
  /** Maximum number of rows to read (windows, for plain text). Default: no limit. */
  readonly limit?: number;
  /** Seed of the choice of held-out rows. Default: 0. */
  readonly seed?: number;
  /** Ends the reading with ABORTED. */
  readonly signal?: AbortSignal;
}

/** Accepts NaN too: the range is checked where the number is used. */
const anyNumber = optionRule('a number', (value) => typeof value === 'number');
const numbers = optionRule(
  'an array of numbers',
  (value) => Array.isArray(value) && value.every((entry) => typeof entry === 'number'),
);

/** The type of each option. `resolveReading` checks the ranges. */
export const DATASET_RULES: OptionRules<DatasetOptions> = {
  tokenizer: required(orNull(objectWith('encode', 'decode'))),
  maxSeqLength: anyNumber,
  datasetFormat: someText,
  weights: numbers,
  onBadRow: someText,
  completionOnlyLoss: trueOrFalse,
  applyChatTemplate: trueOrFalse,
  heldOut: anyNumber,
  limit: either(numberWithin({ least: 1 }), oneOf([Infinity])),
  seed: wholeNumber(),
  signal: abortSignal,
};

/**
 * Checks names and options. @throws QdyloraError BAD_ARGUMENT for file names that are not texts, and for
 * unknown or invalid options.
 */
export function checkDatasetArguments(
  where: string,
  names: unknown,
  options: unknown,
  rules: Readonly<Record<string, OptionRule>> = DATASET_RULES,
): void {
  assertArgument(
    typeof names === 'string' || (Array.isArray(names) && names.every((name) => typeof name === 'string')),
    where,
    `The dataset must be the name of a file or an array of names (got ${shownValue(names)})`,
    "Give a path or a pattern: 'data/*.jsonl'.",
  );
  checkOptions(where, options, rules);
}

export interface DatasetFile {
  readonly file: string;
  /** The index of the list entry that the file belongs to, and whose weight it shares. */
  readonly nameIndex: number;
}

/** One entry of the list of names, with its weight: how often its rows occur in an epoch. */
export interface DatasetName {
  readonly name: string;
  readonly weight: number;
}

/** Resolved options, and counters that fill while rows are read. */
export interface Reading extends Required<Omit<DatasetOptions, 'signal' | 'datasetFormat' | 'weights'>> {
  readonly names: readonly DatasetName[];
  /** The files of all names whose weight is not 0. */
  readonly files: readonly DatasetFile[];
  readonly datasetFormat: DatasetFormat | undefined;
  readonly signal: AbortSignal | undefined;
  /** Formats of the files read so far. */
  readonly formats: Set<string>;
  readonly counts: RowCounts;
  readonly templateNotes: TemplateNotes;
  readonly bad: BadRows;
  /** True if the caller set `completionOnlyLoss`. Notes about it are only for those callers. */
  readonly hasExplicitCompletionOnly: boolean;
  /** Creates a labeller for one file. */
  labeller(): RowLabeller;
}

/**
 * Resolves names and options. @throws QdyloraError BAD_CONFIG, BAD_ARGUMENT for invalid options; MISSING_FILE
 * for a pattern that matches no file.
 */
export function resolveReading(names: string | readonly string[], options: DatasetOptions): Reading {
  const list = typeof names === 'string' ? [names] : names;
  const {
    tokenizer,
    maxSeqLength = 1024,
    datasetFormat,
    onBadRow = 'error',
    completionOnlyLoss = true,
    applyChatTemplate = false,
    heldOut = 0,
    limit = Infinity,
    seed = 0,
    signal,
  } = options;
  assertArgument(list.length > 0, 'data', '`dataset` must name at least one file');
  if (!Number.isSafeInteger(maxSeqLength) || maxSeqLength < 2)
    throw badConfig(
      `\`max_seq_length\` must be a whole number ≥ 2 (got ${maxSeqLength})`,
      'A sequence of one token predicts nothing.',
    );
  if (!BAD_ROW_POLICIES.includes(onBadRow))
    throw badConfig(
      `\`on_bad_row\` must be one of ${BAD_ROW_POLICIES.join(', ')} (got ${JSON.stringify(onBadRow)})`,
      'Leave it out to stop at a bad row.',
    );
  const weighted = withWeights(list, options.weights);
  const templateNotes = noNotesYet();
  const settings = { tokenizer, completionOnlyLoss, applyChatTemplate, templateNotes };
  return {
    tokenizer,
    maxSeqLength,
    datasetFormat,
    onBadRow,
    completionOnlyLoss,
    applyChatTemplate,
    heldOut,
    limit,
    seed,
    signal,
    names: weighted,
    files: filesOf(weighted),
    formats: new Set(),
    counts: noRowsYet(),
    templateNotes,
    bad: badRows(onBadRow),
    hasExplicitCompletionOnly: options.completionOnlyLoss === true,
    labeller: () => rowLabeller(settings, { datasetFormat, seed }),
  };
}

function withWeights(
  names: readonly string[],
  weights: readonly number[] = names.map(() => 1),
): DatasetName[] {
  if (weights.length !== names.length)
    throw badConfig(
      `\`dataset\` has ${names.length} names, but \`dataset_weights\` has ${weights.length} ` + 'numbers',
      'Give one weight for each name; the files of a pattern share one.',
    );
  if (
    !weights.every((weight) => Number.isFinite(weight) && weight >= 0) ||
    !weights.some((weight) => weight > 0)
  )
    throw badConfig(
      `\`dataset_weights\` must be numbers ≥ 0, not all 0 (got ${weights.join(', ')})`,
      '2 means every row twice per epoch, 0.5 half of the rows.',
    );
  return names.map((name, i) => ({ name, weight: weights[i] }));
}

/** The files to read. Rows of weight 0 are neither trained on nor held out, so they are not read. */
const filesOf = (names: readonly DatasetName[]): DatasetFile[] =>
  expandGlobs(names.map(({ name }) => name)).flatMap((files, nameIndex) =>
    names[nameIndex].weight > 0 ? files.map((file) => ({ file, nameIndex })) : [],
  );

/**
 * Total bytes of the files that the names match. @throws QdyloraError MISSING_FILE for a pattern that matches
 * no file.
 */
export const datasetBytes = (names: readonly string[]): number =>
  expandGlobs(names)
    .flat()
    .reduce((sum, file) => sum + (statOf(file)?.size ?? 0), 0);

/** True if a file is one text, not rows. */
export const isPlainText = ({ file }: DatasetFile, { datasetFormat }: Reading): boolean =>
  (datasetFormat ?? (file.toLowerCase().endsWith('.txt') ? PLAIN_TEXT : '')) === PLAIN_TEXT;

/** Cuts a text file into windows of tokens. */
export function readWindows(
  { file }: DatasetFile,
  { tokenizer, maxSeqLength, formats, bad }: Reading,
): Example[] {
  formats.add(PLAIN_TEXT);
  return textWindows(
    assertTokenizer(tokenizer, PLAIN_TEXT).encode(
      readPlainText(file, (error) => {
        bad.skipEmptyFile(file, error);
      }),
    ),
    maxSeqLength,
  );
}

const badConfig = (problem: string, nextStep: string): QdyloraError =>
  new QdyloraError('BAD_CONFIG', { where: 'data', problem, nextStep });
