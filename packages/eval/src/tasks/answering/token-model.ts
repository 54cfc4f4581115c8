import type { Tokenizer } from '@qdylora/data';

/** Tokens to read, and the tokens that should follow the last ones of them. */
export interface ScoredTokens {
  readonly ids: readonly number[];
  /** The last of these follows the last id; at most as many as ids. */
  readonly targets: readonly number[];
}

/** log p of the targets, summed, and whether each is the likeliest token. */
export interface TokenScore {
  readonly logLikelihood: number;
  readonly isGreedy: boolean;
}

/** What answering requests needs of a model at one rank. */
export interface TokenModel {
  readonly tokenizer: Tokenizer;
  /** Tokens that the model reads at once. */
  readonly maxLength: number;
  /** Calls that it computes together: so many are made at once. 1 by default. */
  readonly concurrency?: number;
  /** Scores of all sequences; sequences that begin alike come one after another. */
  score(sequences: readonly ScoredTokens[]): Promise<TokenScore[]>;
  /** Greedy decoding, which may end early. */
  generate(prompt: readonly number[], maxNewTokens: number): AsyncIterable<number>;
}
