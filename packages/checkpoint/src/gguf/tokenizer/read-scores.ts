import { badFile } from '../../bad-file.ts';
import type { ConfigReader } from '../../config/config-reader.ts';
import type { GgufVocabulary } from './vocabulary.ts';

/**
 * The score of every token: its log probability (Unigram), or minus the rank of its merge (BPE).
 *
 * @throws QdyloraError BAD_FILE
 */
export function readScores(
  path: string,
  metadata: ConfigReader,
  { tokens }: Pick<GgufVocabulary, 'tokens'>,
): readonly number[] {
  const scores = metadata.raw['tokenizer.ggml.scores'];
  if (
    !Array.isArray(scores) ||
    scores.length !== tokens.length ||
    !scores.every((score) => typeof score === 'number' && !Number.isNaN(score))
  ) {
    throw badFile({
      format: 'gguf',
      path,
      problem:
        `tokenizer.ggml.scores must hold ${tokens.length} numbers (got ` +
        `${Array.isArray(scores) ? `${scores.length} values` : 'none'}).`,
    });
  }
  return scores as number[];
}
