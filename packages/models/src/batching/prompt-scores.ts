import { IGNORED_TARGET } from '@qdylora/tensor';
import type { DecodeRequest } from './decode-request.ts';
import type { SequenceScoring, TokenScores } from './sequence-pass.ts';

/**
 * The predictions of a piece that are scored: of each token from `scoreFrom − 1` on, and, after the last
 * token of the prompt, of each of `nextTargets`. Null: none.
 */
export function scoringOf(
  { prompt, topLogProbabilities, scoreFrom, nextTargets }: DecodeRequest,
  from: number,
  count: number,
): SequenceScoring | null {
  const rows: number[] = [];
  const targets: number[] = [];
  for (let token = Math.max(from, scoreFrom - 1); token < from + count; token++) {
    rows.push(token - from);
    targets.push(prompt[token + 1] ?? IGNORED_TARGET);
  }
  if (from + count === prompt.length) {
    for (const target of nextTargets) {
      rows.push(count - 1);
      targets.push(target);
    }
  }
  return rows.length > 0 ? { rows, targets, topK: Math.max(1, topLogProbabilities ?? 0) } : null;
}

/** The scores of a whole prompt, and those of `nextTargets`. */
export function promptScores({ scorePrompt, nextTargets }: DecodeRequest, pieces: readonly TokenScores[]) {
  if (!scorePrompt) return { scores: null, nextScores: null };
  const all = joined(pieces);
  const rows = all.logProbabilities.length;
  const promptRows = rows - nextTargets.length;
  return { scores: partOfScores(all, 0, promptRows), nextScores: partOfScores(all, promptRows, rows) };
}

function partOfScores(all: TokenScores, from: number, to: number): TokenScores {
  const topK = all.topIds.length / all.logProbabilities.length;
  return {
    logProbabilities: all.logProbabilities.slice(from, to),
    topIds: all.topIds.slice(from * topK, to * topK),
    topLogProbabilities: all.topLogProbabilities.slice(from * topK, to * topK),
  };
}

function joined(pieces: readonly TokenScores[]): TokenScores {
  const floats = (field: 'logProbabilities' | 'topLogProbabilities'): Float32Array =>
    Float32Array.from(pieces.flatMap((piece) => [...piece[field]]));
  return {
    logProbabilities: floats('logProbabilities'),
    topIds: Int32Array.from(pieces.flatMap(({ topIds }) => [...topIds])),
    topLogProbabilities: floats('topLogProbabilities'),
  };
}
