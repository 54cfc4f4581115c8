import { createHash } from 'node:crypto';
import type { ExampleSource } from '@qdylora/data';

/** Number of examples that tell one tokenizer or chat template from another. */
const EXAMPLES = 64;

/** Most rows to read for them: some streamed rows have nothing to predict. */
const MOST_ASKED = 1024;

/**
 * SHA-256 over tokens and labels of the first training examples. A run that is resumed with another
 * tokenizer, chat template or mask has another hash, though its rows are the same.
 */
export function tokensHash(training: ExampleSource): string {
  const hash = createHash('sha256');
  for (let i = 0, found = 0; found < EXAMPLES && i < Math.min(training.length, MOST_ASKED); i++) {
    const example = training.at(i);
    if (!example) continue;
    found++;
    hash
      .update(`${example.ids.length} `)
      .update(Int32Array.from(example.ids))
      .update(Int32Array.from(example.labels));
  }
  return hash.digest('hex');
}
