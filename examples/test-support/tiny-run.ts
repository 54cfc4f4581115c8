import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * A temporary folder, the smallest Llama of the fixtures (without a tokenizer), and rows of token ids that it
 * learns in a few steps.
 */
export interface TinyRun extends Disposable {
  readonly model: string;
  readonly dataset: string;
  readonly folder: string;
}

/** Vocabulary size of the model. */
const VOCABULARY = 131;

/** A row of 24 tokens that counts upwards: each id is one more than the last. */
const countingRow = (start: number): string =>
  JSON.stringify({ input_ids: Array.from({ length: 24 }, (_, i) => 3 + ((start + i) % (VOCABULARY - 3))) });

export function tinyRun(rows = 64): TinyRun {
  const folder = mkdtempSync(join(tmpdir(), 'qdylora-example-'));
  const dataset = join(folder, 'rows.jsonl');
  writeFileSync(dataset, Array.from({ length: rows }, (_, i) => `${countingRow(i * 37)}\n`).join(''));
  return {
    folder,
    dataset,
    model: fileURLToPath(new URL('../../packages/models/fixtures/llama-gqa', import.meta.url)),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
