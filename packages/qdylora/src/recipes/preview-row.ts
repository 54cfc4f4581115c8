import { loadDataset, maskPreview, type Tokenizer } from '@qdylora/data';
import { QdyloraError } from '@qdylora/contract';
import type { RowOptions } from './stages/load-data.ts';

/** One row as the model will see it: which tokens the loss counts. */
export interface RowPreview { readonly format: string; readonly row: number; readonly tokens: number; readonly countedTokens: number; readonly ids: readonly number[]; readonly labels: readonly number[]; readonly text: string }

/** Row `row` (from 1) of a file, with its mask.  @throws QdyloraError BAD_DATA, BAD_CONFIG, MISSING_FILE */
export async function previewRow(files: readonly string[], row: number, { tokenizer, color, ...options }: RowOptions & { readonly tokenizer: Tokenizer | null; readonly color: boolean }): Promise<RowPreview> {
  const { training, report } = await loadDataset(files, { ...options, tokenizer, datasetFormat: options.datasetFormat ?? undefined, limit: row });
  if (report.rows < row) throw new QdyloraError('BAD_DATA', { where: files.join(', '), problem: `expected a row ${row}, got ${report.rows} rows`, nextStep: 'Rows are counted from 1.' });
  const example = training[row - 1 - report.dropped];
  if (!example || report.dropped > 0) throw new QdyloraError('BAD_DATA', { where: files.join(', '), problem: `expected tokens to learn from in the first ${row} rows, got ${report.dropped} rows without: ${Object.keys(report.reasons).join('; ')}`, nextStep: 'Raise --max-seq-length, or set --completion-only-loss false.' });
  const { ids, labels } = example;
  return { format: report.format, row, tokens: ids.length, countedTokens: labels.filter((label, t) => t > 0 && label >= 0).length, ids: [...ids], labels: [...labels], text: maskPreview(example, { tokenizer, color }) };
}
