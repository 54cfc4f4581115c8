import { setImmediate } from 'node:timers/promises';
import { assertArgument, QdyloraError } from '@qdylora/contract';
import { collectExamples, type Collected } from './collect-examples.ts';
import { assertKeys, detectFormat, formatNamed, PLAIN_TEXT, type DatasetFormat } from './dataset-format.ts';
import { assertTokenizer, type Row, type RowFormat, type RowSettings } from './formats/row-format.ts';
import type { Tokenizer } from './load-tokenizer.ts';
import { readJsonl } from './read-jsonl.ts';
import { readPlainText } from './read-plain-text.ts';
import { splitHeldOut } from './split-held-out.ts';
import { textWindows } from './text-windows.ts';
import type { Example } from './token-batch.ts';

export interface DatasetOptions {
  /** Null only for rows of `input_ids`. */
  readonly tokenizer: Tokenizer | null;
  /** Tokens; longer rows are cut on the right. 1024 */
  readonly maxSeqLength?: number;
  /** The shape of rows; by default the first row of each file decides, and a `.txt` file is plain text. */
  readonly datasetFormat?: DatasetFormat;
  /** Loss on answers only, in formats that tell prompts from answers. True */
  readonly completionOnlyLoss?: boolean;
  /** Puts prompts and answers through the tokenizer's chat template; `messages` always are. False */
  readonly applyChatTemplate?: boolean;
  /** Examples set aside for evaluation: a count, or a fraction below 1. 0 */
  readonly heldOut?: number;
  /** Reads at most so many rows (windows, for plain text). */
  readonly limit?: number;
  /** Decides which examples are held out. 0 */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

export interface DatasetReport {
  /** What was decided, by file; several are joined by commas. */
  readonly format: string;
  /** Rows read (windows, for plain text). */
  readonly rows: number;
  /** Tokens of the examples kept, and how many of them the loss counts. */
  readonly tokens: number;
  readonly predictedTokens: number;
  /** Rows cut to `maxSeqLength`. */
  readonly truncated: number;
  /** Rows without a token to predict, left out; and why. */
  readonly dropped: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** What a user should know about these settings and this data. */
  readonly notes: readonly string[];
}

export interface Dataset { readonly training: Example[]; readonly heldOut: Example[]; readonly report: DatasetReport }

/** Rows between two looks at the signal, and two turns for timers and input: about 30 ms of GSM8K on 2 cores. */
const ROWS_PER_TURN = 64;

/**
 * Files of rows as tokens with labels. Rows longer than `maxSeqLength` are cut on the right; rows that leave nothing to predict are dropped. Both are counted.
 * Plain text becomes consecutive windows of `maxSeqLength`, every token counted.
 *
 * @throws QdyloraError MISSING_FILE; BAD_DATA naming file and line, or saying why no row is left; BAD_CONFIG for settings that do not fit the data;
 * ABORTED with the signal's reason as cause.
 * @example
 * const { training, heldOut, report } = await loadDataset('gsm8k.jsonl', { tokenizer, maxSeqLength: 512, heldOut: 200 });
 */
export async function loadDataset(files: string | readonly string[], options: DatasetOptions): Promise<Dataset> {
  const list = typeof files === 'string' ? [files] : files;
  const { maxSeqLength = 1024, limit = Infinity, heldOut = 0, seed = 0, signal } = options;
  check(list, maxSeqLength, limit);
  const collected = collectExamples(maxSeqLength), formats = new Set<string>();
  for (const file of list) {
    for (const step of readFile(file, collected, formats, options)) {
      if (collected.rows % ROWS_PER_TURN === 0) await turn(signal);
      step();
      if (collected.rows >= limit) break;
    }
    await turn(signal);
    if (collected.rows >= limit) break;
  }
  if (collected.examples.length === 0) throw nothingLeft(list, collected, maxSeqLength);
  return { ...splitHeldOut(collected.examples, heldOut, seed), report: reportOf(collected, [...formats].join(', '), notesOn(formats, options)) };
}

/** Reads a file; each step that it yields adds one row to what is collected. */
function* readFile(file: string, collected: Collected, formats: Set<string>, options: DatasetOptions): Generator<() => void> {
  const { tokenizer, maxSeqLength = 1024, datasetFormat, completionOnlyLoss = true, applyChatTemplate = false } = options;
  if ((datasetFormat ?? (file.toLowerCase().endsWith('.txt') ? PLAIN_TEXT : '')) === PLAIN_TEXT) {
    formats.add(PLAIN_TEXT);
    const ids = assertTokenizer(tokenizer, PLAIN_TEXT).encode(readPlainText(file));
    for (const window of textWindows(ids, maxSeqLength)) yield () => collected.add(window);
    return;
  }
  let format: RowFormat | null = datasetFormat ? formatNamed(datasetFormat) : null;
  for (const { value, line } of readJsonl(file)) {
    const row: Row = { value, where: `${file}:${line}` };
    format ??= detectFormat(row);
    formats.add(format.name);
    assertKeys(row, format);
    const label = format.label, settings: RowSettings = { tokenizer, completionOnlyLoss, applyChatTemplate };
    yield () => collected.add({ ...label(row, settings), source: { file, line } });
  }
}

async function turn(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  if (signal?.aborted) throw new QdyloraError('ABORTED', { where: 'data', problem: 'the signal was aborted while rows were read', cause: signal.reason });
}

function check(files: readonly string[], maxSeqLength: number, limit: number): void {
  assertArgument(files.length > 0, 'data', 'expected at least one file for a dataset, got none');
  if (!Number.isSafeInteger(maxSeqLength) || maxSeqLength < 2) {
    throw new QdyloraError('BAD_CONFIG', { where: 'data', problem: `expected a whole number ≥ 2 for max_seq_length, got ${maxSeqLength}`, nextStep: 'A sequence of one token predicts nothing.' });
  }
  assertArgument(limit >= 1, 'data', `expected a number ≥ 1 for limit, got ${limit}`);
}

function nothingLeft(files: readonly string[], { rows, reasons }: Collected, maxSeqLength: number): QdyloraError {
  const why = Object.entries(reasons).map(([reason, count]) => `${count} × ${reason}`).join('; ');
  return new QdyloraError('BAD_DATA', {
    where: files.join(', '), problem: `expected at least one row with a token to predict, got ${rows} rows of which all were dropped: ${why}`,
    nextStep: `Look at one with maskPreview. Raise max_seq_length (${maxSeqLength}), or set completion_only_loss: false.`, details: { rows, reasons: { ...reasons }, maxSeqLength },
  });
}

const reportOf = ({ rows, tokens, predictedTokens, truncated, dropped, reasons }: Collected, format: string, notes: string[]): DatasetReport =>
  ({ format, rows, tokens, predictedTokens, truncated, dropped, reasons: { ...reasons }, notes });

function notesOn(formats: ReadonlySet<string>, { tokenizer, completionOnlyLoss, applyChatTemplate }: DatasetOptions): string[] {
  const has = (...names: DatasetFormat[]): boolean => names.some((name) => formats.has(name));
  const notes: string[] = [];
  if (completionOnlyLoss && has('text', PLAIN_TEXT, 'tokens')) notes.push('completion_only_loss has no say in text and token rows: they tell no prompts from answers.');
  if (applyChatTemplate && has('text', PLAIN_TEXT, 'tokens')) notes.push('The chat template is not applied to text and token rows.');
  if (tokenizer && tokenizer.eosId === null && has('prompt_completion', 'question_answer', 'alpaca', 'text')) notes.push('The tokenizer names no EOS token: answers are not closed, and a model will not learn to stop.');
  if (tokenizer?.chatTemplate && !applyChatTemplate && has('prompt_completion', 'question_answer', 'alpaca')) notes.push('The tokenizer has a chat template; prompts are written plainly, without it.');
  return notes;
}
