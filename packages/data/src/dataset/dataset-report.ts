import { QdyloraError } from '@qdylora/contract';
import { PLAIN_TEXT, type DatasetFormat } from './dataset-format.ts';
import type { DatasetFile, Reading } from './dataset-options.ts';
import { reasonsText, type RowCounts } from './keep-example.ts';
import { fileIdentity } from '../file-names/file-identity.ts';

/** The outcome of reading a dataset: its rows and tokens, and how many rows were cut or left out. */
export interface DatasetReport {
  /** The format of each file; several formats are separated by commas. */
  readonly format: string;
  /** Usable rows (windows, for plain text), dropped ones included. */
  readonly rows: number;
  /**
   * SHA-256 over the seed and the content of the usable rows, in their order. Rows that are known to be
   * dropped do not count.
   */
  readonly fingerprint: string;
  /**
   * Number of rows that were tokenized for this report: all, or the first ones of a streamed dataset. The
   * counts below are about these rows.
   */
  readonly measuredRows: number;
  /** Tokens of the kept examples. */
  readonly tokens: number;
  /** Those of `tokens` that the loss counts. */
  readonly predictedTokens: number;
  /** Rows cut to `maxSeqLength`. */
  readonly truncated: number;
  /** Cut rows that lost counted tokens. */
  readonly truncatedAnswers: number;
  /** Counted tokens that those rows lost together. */
  readonly lostTokens: number;
  /** Rows left out because they have no token to predict. */
  readonly dropped: number;
  /** The dropped rows by reason, in words. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Rows left out under `onBadRow: 'skip'`. */
  readonly skipped: number;
  /** The messages of the first skipped rows, 5 at most; each names file and line. */
  readonly skippedMessages: readonly string[];
  /** Files without rows, ignored under `onBadRow: 'skip'`. */
  readonly emptyFiles: number;
  /** Notes for the user about these settings and this data. */
  readonly notes: readonly string[];
}

/** Builds the report of what was read. `rows`: the number of all rows; default: that of the measured ones. */
export function datasetReport(
  reading: Reading,
  counts: RowCounts,
  { rows = counts.rows, fingerprint }: { readonly rows?: number; readonly fingerprint: string },
): DatasetReport {
  const { rows: measuredRows, reasons, ...rest } = counts;
  const { formats, bad } = reading;
  return {
    format: [...formats].join(', '),
    rows,
    fingerprint,
    measuredRows,
    ...rest,
    reasons: { ...reasons },
    skipped: bad.count,
    skippedMessages: [...bad.messages],
    emptyFiles: bad.emptyFiles.length,
    notes: notesOn(reading),
  };
}

function notesOn({
  files,
  formats,
  tokenizer,
  hasExplicitCompletionOnly,
  applyChatTemplate,
  bad,
  templateNotes: { unshown, quotedArguments },
}: Reading): string[] {
  const has = (...names: DatasetFormat[]): boolean => names.some((name) => formats.has(name));
  const notes: string[] = [];
  if (hasExplicitCompletionOnly && has('text', PLAIN_TEXT, 'tokens'))
    notes.push(
      'completion_only_loss has no effect on text rows, or on token rows without completion_mask: they do ' +
        'not separate prompts from answers.',
    );
  if (applyChatTemplate && has('text', PLAIN_TEXT, 'tokens'))
    notes.push('The chat template is not applied to text and token rows.');
  if (tokenizer && tokenizer.eosId === null && has('prompt_completion', 'question_answer', 'alpaca', 'text'))
    notes.push(
      'The tokenizer has no EOS token, so answers do not end with one and the model does not learn to stop.',
    );
  if (tokenizer?.chatTemplate && !applyChatTemplate && has('prompt_completion', 'question_answer', 'alpaca'))
    notes.push('The tokenizer has a chat template; prompts are written plainly, without it.');
  if (unshown.size > 0)
    notes.push(
      `Rows have ${[...unshown].sort().join(' and ')}, but the chat template never writes them, so the ` +
        `model does not see them. Use a model whose template writes them, or write them into the messages.`,
    );
  if (quotedArguments !== null)
    notes.push(
      `Arguments of tool calls are JSON text (the first in ${quotedArguments}), which the chat template ` +
        'writes as a quoted string. Make each an object, as a model that is served gets it.',
    );
  if (bad.count > 0) {
    const skipped = bad.count === 1 ? '1 row' : `${bad.count} rows`;
    const were = bad.count === 1 ? 'was' : 'were';
    notes.push(`${skipped} could not be used and ${were} skipped. The first: ${bad.messages[0]}`);
  }
  if (bad.emptyFiles.length > 0) {
    const empty = bad.emptyFiles.length === 1 ? '1 file has' : `${bad.emptyFiles.length} files have`;
    const were = bad.emptyFiles.length === 1 ? 'was' : 'were';
    notes.push(`${empty} no rows and ${were} skipped: ${listed(bad.emptyFiles)}`);
  }
  const repeated = repeatedFiles(files);
  if (repeated.length > 0)
    notes.push(
      `These files are listed more than once, so their rows repeat in each epoch: ${listed(repeated)}. ` +
        `List each file once, and set dataset_weights to repeat its rows.`,
    );
  return notes;
}

/** Number of names listed in a note. */
const MOST_LISTED = 3;

function listed(names: readonly string[]): string {
  const first = names.slice(0, MOST_LISTED).join(', ');
  return names.length > MOST_LISTED ? `${first} and ${names.length - MOST_LISTED} more` : first;
}

/** Files that the list contains more than once, by one name or several. */
function repeatedFiles(files: readonly DatasetFile[]): string[] {
  const times = new Map<string, { readonly file: string; count: number }>();
  for (const { file } of files) {
    const identity = fileIdentity(file);
    const known = times.get(identity);
    if (known) known.count++;
    else times.set(identity, { file, count: 1 });
  }
  return [...times.values()]
    .filter(({ count }) => count > 1)
    .map(({ file, count }) => `${file} (${count} times)`);
}

/**
 * The error for a dataset without anything to train on. `rows`: the total number of rows, if only a sample
 * was examined.
 */
export function noRowLeftError(
  { files, maxSeqLength, bad }: Reading,
  { rows: measured, reasons }: RowCounts,
  { rows = measured }: { readonly rows?: number } = {},
): QdyloraError {
  const dropped = `all${rows > measured ? ' that were looked at' : ''} were dropped: ${reasonsText(reasons)}`;
  const outcome =
    rows === 0 && bad.count > 0
      ? `${bad.count} rows cannot be used: ${bad.messages[0]}`
      : rows === 0
        ? 'there are no rows'
        : `of ${rows} rows ${dropped}`;
  return new QdyloraError('BAD_DATA', {
    where: files.map(({ file }) => file).join(', '),
    problem: `No row with a token to predict is left: ${outcome}`,
    nextStep:
      rows === 0
        ? 'Put rows into it: one JSON object on each line.'
        : `Look at some with qdylora inspect, or maskPreview. Raise max_seq_length (${maxSeqLength}), or ` +
          `set completion_only_loss: false.`,
    details: { rows, reasons: { ...reasons }, maxSeqLength, skipped: bad.count },
  });
}
