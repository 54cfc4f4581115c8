import { createHash } from 'node:crypto';
import type { Example, ExampleSource } from '@qdylora/data';

/** Number of examples that tell one tokenizer or chat template from another. */
const EXAMPLES = 64;

/** Most rows to read for them: some streamed rows have nothing to predict. */
const MOST_ROWS_READ = 1024;

/**
 * SHA-256 over tokens and labels of the first training examples. A run that is resumed with another
 * tokenizer, chat template or mask has another hash, though its rows are the same.
 */
export function tokensHash(training: ExampleSource): string {
  const first: Example[] = [];
  for (let i = 0; first.length < EXAMPLES && i < Math.min(training.length, MOST_ROWS_READ); i++) {
    const example = training.at(i);
    if (example) first.push(example);
  }
  return hashOfExamples(first);
}

/** SHA-256 over the tokens and labels of all of them, in hexadecimal digits. */
export function hashOfExamples(examples: readonly Example[]): string {
  const hash = createHash('sha256');
  for (const { ids, labels } of examples)
    hash.update(`${ids.length} `).update(Int32Array.from(ids)).update(Int32Array.from(labels));
  return hash.digest('hex');
}
