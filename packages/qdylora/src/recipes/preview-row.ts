import {
  keepExample,
  noRowsYet,
  readLabelledRows,
  tokenWeights,
  type Example,
  type LabelledRow,
  type Tokenizer,
  type TokenWeight,
} from '@qdylora/data';
import { QdyloraError } from '@qdylora/contract';
import { watchTemplate } from './opening/chosen-template.ts';
import { datasetOptions, type RowOptions } from './run/load-data.ts';

/** One row as the model will see it. */
export interface RowPreview {
  readonly format: string;
  /** From 1, over all files. */
  readonly row: number;
  /** `file:line`; null for windows of plain text. */
  readonly source: string | null;
  readonly tokens: readonly TokenWeight[];
  /** How many of them the loss counts. */
  readonly countedTokens: number;
  /** Tokens beyond max_seq_length, and those of them that the loss would count. */
  readonly cutTokens: number;
  readonly lostTokens: number;
  /** Why the row would be left out of training; null where it would not. */
  readonly dropped: string | null;
}

export interface PreviewRowsOptions extends RowOptions {
  readonly tokenizer: Tokenizer | null;
  /** The first row to show, from 1, and how many. */
  readonly row: number;
  readonly rows: number;
}

/**
 * Rows with the weight of every token, also rows that training would leave out.
 *
 * @throws QdyloraError BAD_DATA, BAD_CONFIG, MISSING_FILE
 */
export async function previewRows(
  files: readonly string[],
  { row: first, rows: count, ...options }: PreviewRowsOptions,
): Promise<RowPreview[]> {
  const previews: RowPreview[] = [];
  let read = 0;
  const watched = watchTemplate(options.tokenizer, options.chatTemplate);
  for await (const row of readLabelledRows(files, datasetOptions(options, watched.tokenizer))) {
    if (++read >= first) previews.push(previewRow(row, read, options));
    if (previews.length === count) break;
  }
  if (previews.length > 0) watched.assertTemplateUsed(previews[0].format);
  if (previews.length > 0) return previews;
  throw new QdyloraError('BAD_DATA', {
    where: files.join(', '),
    problem: `There is no row ${first}: the data has ${read} rows.`,
    nextStep: 'Rows are counted from 1.',
  });
}

function previewRow(
  row: LabelledRow & { readonly format: string },
  number: number,
  { tokenizer, maxSeqLength }: Omit<PreviewRowsOptions, 'row' | 'rows'>,
): RowPreview {
  const counts = noRowsYet();
  keepExample(row, maxSeqLength, counts);
  const cut = Math.max(0, row.ids.length - maxSeqLength);
  const shown: Example = {
    ids: Int32Array.from(row.ids).slice(0, maxSeqLength),
    labels: Int32Array.from(row.labels).slice(0, maxSeqLength),
  };
  return {
    format: row.format,
    row: number,
    source: row.source ? `${row.source.file}:${row.source.line}` : null,
    tokens: tokenWeights(shown, tokenizer),
    countedTokens: counts.predictedTokens,
    cutTokens: cut,
    lostTokens: counts.lostTokens,
    dropped: Object.keys(counts.reasons)[0] ?? null,
  };
}
