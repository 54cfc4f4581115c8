import type { Tokenizer } from '@qdylora/data';
import type { ScoredTokens, TokenModel, TokenScore } from '@qdylora/eval';
import type { DecodeEngine, DecodeEvent, DecodeView } from '@qdylora/models';
import { longestSequenceOf } from '../opening/longest-sequence-of.ts';

export interface TokenModelOptions {
  readonly engine: DecodeEngine;
  readonly tokenizer: Tokenizer;
  /** Ids that end a generated text. */
  readonly stopIds: readonly number[];
  /** Calls that the engine gets at once. */
  readonly concurrency: number;
}

/**
 * A model at one rank, or without its adapter (`active: null`), as the tasks of `@qdylora/eval` ask it. Its
 * requests share the passes of an engine with those of other ranks.
 */
export function tokenModel(
  view: DecodeView,
  { engine, tokenizer, stopIds, concurrency }: TokenModelOptions,
): TokenModel {
  return {
    tokenizer,
    maxLength: longestSequenceOf(view.model),
    concurrency,
    async score(sequences) {
      const scores = new Array<TokenScore>(sequences.length);
      const scoreAlike = async (members: readonly number[]): Promise<void> => {
        const { ids, targets } = sequences[members[0]];
        const nextTargets = members.map((i) => sequences[i].targets.at(-1)!);
        const scoreFrom = ids.length - targets.length + 1;
        const options = { maxNewTokens: 0, scorePrompt: true, scoreFrom, nextTargets };
        for await (const event of engine.decode(view, ids, options)) {
          if (event.type !== 'prompt') continue;
          for (const [place, i] of members.entries())
            scores[i] = tokenScore(sequences[i].targets, event, place);
        }
      };
      await Promise.all(groupByInput(sequences).map(scoreAlike));
      return scores;
    },
    async *generate(prompt, maxNewTokens) {
      for await (const event of engine.decode(view, prompt, { maxNewTokens, stopIds }))
        if (event.type === 'token') yield event.id;
    },
  };
}

/** Sequences that differ only in their last target, which the model does not read. */
function groupByInput(sequences: readonly ScoredTokens[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [i, { ids, targets }] of sequences.entries()) {
    const key = `${ids.join()} ${targets.length}`;
    const members = groups.get(key);
    if (members) members.push(i);
    else groups.set(key, [i]);
  }
  return [...groups.values()];
}

/**
 * The first prediction is that of target 0; the last target is scored apart, as one of `nextTargets`.
 *
 * @param place of the last target among `nextTargets`
 */
function tokenScore(
  targets: readonly number[],
  { scores, nextScores }: Extract<DecodeEvent, { readonly type: 'prompt' }>,
  place: number,
): TokenScore {
  let logLikelihood = 0;
  let isGreedy = true;
  for (const [i, target] of targets.entries()) {
    const isLast = i === targets.length - 1;
    const { logProbabilities, topIds } = isLast ? nextScores! : scores!;
    const row = isLast ? place : i;
    logLikelihood += logProbabilities[row];
    isGreedy &&= topIds[row] === target;
  }
  return { logLikelihood, isGreedy };
}
