import type { ActiveRank } from '@qdylora/tensor';
import type { TokenRange } from './token-ranges.ts';

/** The next tokens of one sequence in a pass. */
export interface PassSequence {
  readonly range: TokenRange;
  /** Tokens that are in the range already. */
  readonly filled: number;
  /** The new tokens. */
  readonly ids: readonly number[];
  /** Rank of the adapter; 0: the base without it. */
  readonly rank: number;
  /** How many of the new tokens, from the last one backwards, get a prediction of their next token. */
  readonly predicted: number;
  /** The most likely token of each prediction is wanted. */
  readonly wantsLikeliest: boolean;
  /** The logits of each prediction are wanted. */
  readonly wantsLogits: boolean;
  /** Predictions that are scored; null: none are. */
  readonly scoring: SequenceScoring | null;
}

export interface SequenceScoring {
  /** New tokens whose predictions are scored, counted from the first one; a token may occur again. */
  readonly rows: readonly number[];
  /** The token that follows each of these, −100 where it is not known: [rows] */
  readonly targets: readonly number[];
  /** Classes to yield of each of these. */
  readonly topK: number;
}

/** What the model predicts to follow some tokens of a sequence. */
export interface TokenScores {
  /** log p of the target: [rows]; 0 where there is no target */
  readonly logProbabilities: Float32Array;
  /** The most likely classes, of each token the most likely first: [rows · topK] */
  readonly topIds: Int32Array;
  /** [rows · topK] */
  readonly topLogProbabilities: Float32Array;
}

export interface SequenceResult {
  /** The most likely token of each prediction; empty unless they are wanted. */
  readonly likeliest: readonly number[];
  /** The logits of each prediction, [vocabulary]; empty unless they are wanted. */
  readonly logits: readonly Float32Array[];
  readonly scores: TokenScores | null;
}

/**
 * Everything about a pass but the contents of its arrays: equal layouts can be replayed, wherever in the pool
 * their sequences are.
 */
export interface PassLayout {
  readonly key: string;
  readonly tokens: number;
  readonly sequences: readonly {
    readonly count: number;
    readonly rank: number;
    /** Row of the last token in the pass. */
    readonly last: number;
    /** First row in the pass. */
    readonly from: number;
    /** Keys that it has at most. */
    readonly mostKeys: number;
  }[];
  /** Number of the sequence of each prediction whose most likely token is wanted. */
  readonly likeliestSequences: readonly number[];
  /** Number of the sequence of each prediction whose logits are wanted. */
  readonly logitSequences: readonly number[];
  /** Null: all tokens are the base's. */
  readonly active: ActiveRank | null;
  /** True where all new tokens get predictions and none is scored, so that the pass is likely to repeat. */
  readonly isDecoding: boolean;
}

/**
 * @param sequences in the order of their ranges
 * @param capacity tokens of the pool
 */
export function layoutOf(sequences: readonly PassSequence[], capacity: number): PassLayout {
  let tokens = 0;
  const mostKeys = mostKeysOf(sequences, capacity);
  const laidOut = sequences.map(({ ids, rank }, i) => {
    const from = tokens;
    tokens += ids.length;
    return { rank, count: ids.length, from, last: tokens - 1, mostKeys: mostKeys[i] };
  });
  const sequencesOf = (isWanted: (sequence: PassSequence) => boolean): number[] =>
    sequences.flatMap((sequence, i) => (isWanted(sequence) ? Array<number>(sequence.predicted).fill(i) : []));
  return {
    tokens,
    sequences: laidOut,
    likeliestSequences: sequencesOf(({ wantsLikeliest }) => wantsLikeliest),
    logitSequences: sequencesOf(({ wantsLogits }) => wantsLogits),
    active: activeOf(laidOut),
    isDecoding: sequences.every(
      ({ ids, predicted, scoring }) => predicted === ids.length && scoring === null,
    ),
    key: sequences
      .map(
        ({ ids, rank, predicted, wantsLikeliest, wantsLogits, scoring }, i) =>
          `${mostKeys[i]}:${ids.length}@${rank}p${predicted}${wantsLikeliest ? 'i' : ''}` +
          `${wantsLogits ? 'l' : ''}${scoring ? 's' : ''}`,
      )
      .join(' '),
  };
}

/**
 * Short requests have one layout: the scratch of so many keys is small beside the weights that a pass
 * reads.
 */
const LEAST_KEYS = 128;

/**
 * Keys that the sequences have at most: powers of two, so that many passes are alike, where the pool has room
 * for so many.
 */
function mostKeysOf(sequences: readonly PassSequence[], capacity: number): number[] {
  const exact = sequences.map(({ range }) => range.length);
  const rounded = exact.map((length) => Math.max(LEAST_KEYS, 2 ** Math.ceil(Math.log2(length))));
  return rounded.reduce((sum, keys) => sum + keys, 0) <= capacity ? rounded : exact;
}

/** The rank of all tokens, where they share one; else parts at the ranks of the sequences. */
function activeOf(sequences: PassLayout['sequences']): ActiveRank | null {
  const rank = sequences.reduce((largest, sequence) => Math.max(largest, sequence.rank), 0);
  if (rank === 0) return null;
  if (sequences.every((sequence) => sequence.rank === rank)) return { rank, trainFrom: 0 };
  const parts: { until: number; rank: number; trainFrom: number }[] = [];
  for (const sequence of sequences) {
    const until = sequence.last + 1;
    const before = parts.at(-1);
    if (before?.rank === sequence.rank) before.until = until;
    else parts.push({ until, rank: sequence.rank, trainFrom: 0 });
  }
  return { rank, trainFrom: 0, parts };
}
