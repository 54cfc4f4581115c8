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
import { rowLabeller, type RowLabeller } from './formats/label-rows.ts';
import { assertTokenizer } from './formats/row-format.ts';
import { noRowsYet, type RowCounts } from './keep-example.ts';
import type { Tokenizer } from './tokenizer/tokenizer.ts';
import { expandGlobs } from './rows/expand-globs.ts';
import { statOf } from './rows/stat-of.ts';
import { readPlainText } from './rows/read-plain-text.ts';
import { textWindows } from './text-windows.ts';
import type { Example } from './token-batch.ts';

export interface DatasetOptions {
  /** Null only for rows of `input_ids`. */
  readonly tokenizer: Tokenizer | null;
  /** Tokens; longer rows are cut on the right. 1024 */
  readonly maxSeqLength?: number;
  /** The shape of rows; by default the first row of each file decides, and a `.txt` file is plain text. */
  readonly datasetFormat?: DatasetFormat;
  /**
   * How often the rows of each name in the list (of all files of a pattern together) come in an epoch: 2 =
   * twice, 0.5 = half of them, 0 = not at all, neither held out. 1 for all.
   */
  readonly weights?: readonly number[];
  /** A row that cannot be used is an error that names file and line, or is left out and counted. `error` */
  readonly onBadRow?: BadRowPolicy;
  /** Loss on answers only, in formats that tell prompts from answers. True */
  readonly completionOnlyLoss?: boolean;
  /** Puts prompts and answers through the tokenizer's chat template; `messages` always are. False */
  readonly applyChatTemplate?: boolean;
  /** Rows set aside for evaluation: a count, or a fraction below 1. Their hashes decide. 0 */
  readonly heldOut?: number;
  /** Reads at most so many rows (windows, for plain text). */
  readonly limit?: number;
  /** Decides which rows are held out. 0 */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

/** Also NaN: which numbers fit is said where they are used. */
const anyNumber = optionRule('a number', (value) => typeof value === 'number');
const numbers = optionRule(
  'an array of numbers',
  (value) => Array.isArray(value) && value.every((entry) => typeof entry === 'number'),
);

/** Of which kind each is; `resolveReading` says which of these values fit. */
export const DATASET_RULES: OptionRules<DatasetOptions> = {
  tokenizer: required(orNull(objectWith('encode'))),
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
 * @throws QdyloraError BAD_ARGUMENT for names of files that are no texts, and options that are none or of
 * another kind
 */
export function checkAsked(
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

/** A file of the list; `name`: the place in the list of the name that it goes by, whose weight it shares. */
export interface DatasetFile {
  readonly file: string;
  readonly name: number;
}

/** A name of the list, and how often its rows come in an epoch. */
export interface DatasetName {
  readonly name: string;
  readonly weight: number;
}

/** Options with their defaults, and what is counted on the way. */
export interface Reading extends Required<Omit<DatasetOptions, 'signal' | 'datasetFormat' | 'weights'>> {
  readonly names: readonly DatasetName[];
  /** Those of names whose weight is not 0. */
  readonly files: readonly DatasetFile[];
  readonly datasetFormat: DatasetFormat | undefined;
  readonly signal: AbortSignal | undefined;
  readonly formats: Set<string>;
  readonly counts: RowCounts;
  readonly unshown: Set<string>;
  readonly bad: BadRows;
  /** Whether the caller said so: a note about it is for those who did. */
  readonly wasToldCompletionOnly: boolean;
  /** A labeller for one file. */
  labeller(): RowLabeller;
}

/**
 * @throws QdyloraError BAD_CONFIG, BAD_ARGUMENT for options that do not fit; MISSING_FILE for patterns
 * without a file.
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
      `\`on_bad_row\` must be one of ${BAD_ROW_POLICIES.join(', ')} (got ` + `${JSON.stringify(onBadRow)})`,
      'Leave it out to stop at a bad row.',
    );
  assertArgument(limit >= 1, 'data', `\`limit\` must be a number ≥ 1 (got ${limit})`);
  const weighted = withWeights(list, options.weights);
  const unshown = new Set<string>();
  const settings = { tokenizer, completionOnlyLoss, applyChatTemplate, unshown };
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
    unshown,
    bad: badRows(onBadRow),
    wasToldCompletionOnly: options.completionOnlyLoss === true,
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
      '2 brings every row twice in an epoch, 0.5 half of them.',
    );
  return names.map((name, i) => ({ name, weight: weights[i] }));
}

/** Rows of weight 0 are neither trained on nor held out, so nobody reads them. */
const filesOf = (names: readonly DatasetName[]): DatasetFile[] =>
  expandGlobs(names.map(({ name }) => name)).flatMap((files, name) =>
    names[name].weight > 0 ? files.map((file) => ({ file, name })) : [],
  );

/**
 * Bytes of the files that the names stand for. @throws QdyloraError MISSING_FILE for a pattern without a file
 */
export const datasetBytes = (names: readonly string[]): number =>
  expandGlobs(names)
    .flat()
    .reduce((sum, file) => sum + (statOf(file)?.size ?? 0), 0);

/** Whether a file is text from end to end. */
export const isPlainText = ({ file }: DatasetFile, { datasetFormat }: Reading): boolean =>
  (datasetFormat ?? (file.toLowerCase().endsWith('.txt') ? PLAIN_TEXT : '')) === PLAIN_TEXT;

/** A text file as windows. */
export function readWindows(
  { file }: DatasetFile,
  { tokenizer, maxSeqLength, formats, bad }: Reading,
): Example[] {
  formats.add(PLAIN_TEXT);
  return textWindows(
    assertTokenizer(tokenizer, PLAIN_TEXT).encode(
      readPlainText(file, (error) => {
        bad.passEmpty(file, error);
      }),
    ),
    maxSeqLength,
  );
}

const badConfig = (problem: string, nextStep: string): QdyloraError =>
  new QdyloraError('BAD_CONFIG', { where: 'data', problem, nextStep });
