import { createRng, type Rng } from '@qdylora/contract';
import { chooseToken } from '../generate/choose-token.ts';
import { penalizeRepetition } from '../generate/penalize-repetition.ts';
import type { ChosenToken, DecodeEvent, DecodeRequest } from './decode-request.ts';
import type { EventChannel } from './event-channel.ts';
import { MIN_BATCHED_QUERIES, draftOf } from './prompt-lookup.ts';
import { promptScores, scoringOf } from './prompt-scores.ts';
import type { PassSequence, SequenceResult, TokenScores } from './sequence-pass.ts';
import type { TokenRange } from './token-ranges.ts';

/**
 * A prompt has the same bits in pieces where attention computes all its queries alike. The CPU kernel cuts
 * the keys of a piece into chunks if they are more than 1,024 and its queries may fit one tile of 32
 * columns (`chunksOf` in `kernels/causal-attention/causal-attention.items.h`).
 */
const LEAST_QUERIES_OF_LONG_PROMPTS = 33;
const LONG_PROMPT = 1024;

/**
 * How many first tokens of a prompt may come from another request without a change of any bit. Tokens whose
 * predictions are scored may not, and some new tokens have to remain.
 */
export function reusableTokens({ prompt, scorePrompt, scoreFrom }: DecodeRequest): number {
  const leastNew = prompt.length > LONG_PROMPT ? LEAST_QUERIES_OF_LONG_PROMPTS : MIN_BATCHED_QUERIES;
  const unscored = scorePrompt ? scoreFrom - 1 : prompt.length;
  return Math.max(0, Math.min(unscored, prompt.length - leastNew));
}

/** A request that has its place in the pool. */
export interface DecodeRow {
  readonly request: DecodeRequest;
  readonly range: TokenRange;
  /** Tokens of the prompt that the next pass has to read; 0: it is read. */
  readonly nextPromptTokens: number;
  /** Tokens of the prompt whose keys and values are in the range. */
  readonly promptTokensRead: number;
  /** What the next pass has to do; it may verify a draft of so many tokens at most. */
  next(maxDraftTokens: number): PassSequence;
  /** Takes the results of that pass, and tells the reader. */
  advance(result: SequenceResult): Advance;
}

/** What a pass did for a request. */
export interface Advance {
  /** Tokens that were chosen, a stop token included: one, after those of the draft that were right. */
  readonly newTokens: number;
  readonly isAnswered: boolean;
}

export interface DecodeRowOptions {
  readonly range: TokenRange;
  readonly events: Pick<EventChannel<DecodeEvent>, 'push'>;
  /**
   * Tokens of a prompt that one pass reads, so that other requests need not wait long for their next
   * token. The last piece of a prompt has at least as many, and fewer than twice as many.
   */
  readonly passTokens: number;
  /** First tokens of the prompt that are in the range already. */
  readonly filled: number;
}

/** The tokens of a prompt that are read together, from the first unread one on. */
function nextPiece(prompt: readonly number[], from: number, passTokens: number): readonly number[] {
  const remaining = prompt.length - from;
  return prompt.slice(from, from + (remaining >= 2 * passTokens ? passTokens : remaining));
}

export function createDecodeRow(
  request: DecodeRequest,
  { range, events, passTokens, filled: reused }: DecodeRowOptions,
): DecodeRow {
  const { prompt, maxNewTokens, scorePrompt } = request;
  const pieceAt = (from: number): readonly number[] => nextPiece(prompt, from, passTokens);
  const writer = createWriter(request, events);
  const pieces: TokenScores[] = [];
  let filled = reused;
  let pending = pieceAt(filled);
  const isReading = (): boolean => filled < prompt.length;
  const isLastPiece = (): boolean => filled + pending.length >= prompt.length;
  return {
    request,
    range,
    get nextPromptTokens() {
      return isReading() ? pending.length : 0;
    },
    get promptTokensRead() {
      return Math.min(filled, prompt.length);
    },
    next(maxDraftTokens) {
      const writes = isLastPiece() && maxNewTokens > 0;
      const draft = writer.nextDraft(isReading() ? 0 : maxDraftTokens);
      return {
        range,
        filled,
        ids: [...pending, ...draft],
        rank: request.rank,
        predicted: writes ? 1 + draft.length : 0,
        wantsLikeliest: writer.wantsLikeliest,
        wantsLogits: writer.wantsLogits,
        scoring: scorePrompt && isReading() ? scoringOf(request, filled, pending.length) : null,
      };
    },
    advance(result) {
      const wasReading = isReading();
      if (result.scores) pieces.push(result.scores);
      filled += pending.length;
      if (isReading()) {
        pending = pieceAt(filled);
        return { newTokens: 0, isAnswered: false };
      }
      if (wasReading) events.push({ type: 'prompt', ...promptScores(request, pieces) });
      const added = writer.add(result);
      filled += Math.max(0, added.newTokens - 1); // keys and values of the draft that was right
      pending = [writer.lastId];
      return added;
    },
  };
}

/** The text of a request: what it drafts, and what a pass adds to it. */
interface Writer {
  readonly wantsLikeliest: boolean;
  readonly wantsLogits: boolean;
  readonly lastId: number;
  /** The draft that the next pass verifies. */
  nextDraft(maxTokens: number): readonly number[];
  /** Adds the next token, and as many more as the draft was right about. */
  add(result: SequenceResult): Advance;
}

function createWriter(request: DecodeRequest, events: Pick<EventChannel<DecodeEvent>, 'push'>): Writer {
  const { prompt, maxNewTokens, stopIds } = request;
  const chooser = tokenChooser(request);
  const text = [...prompt];
  let draft: readonly number[] = [];
  const tokensLeft = (): number => prompt.length + maxNewTokens - text.length;
  const end = (newTokens: number, reason: 'stop' | 'length', stopToken: ChosenToken | null): Advance => {
    events.push({ type: 'end', reason, stopToken });
    return { newTokens, isAnswered: true };
  };
  return {
    wantsLikeliest: chooser.wantsLikeliest,
    wantsLogits: chooser.wantsLogits,
    get lastId() {
      return text.at(-1)!;
    },
    nextDraft(maxTokens) {
      draft = draftOf(text, Math.min(maxTokens, tokensLeft() - 1));
      return draft;
    },
    add(result) {
      if (maxNewTokens === 0) return end(0, 'length', null);
      for (let newTokens = 1; ; newTokens++) {
        const token = chooser.choose(result, newTokens - 1, text.length - prompt.length);
        if (stopIds.includes(token.id)) return end(newTokens, 'stop', token);
        events.push({ type: 'token', ...token });
        text.push(token.id);
        if (tokensLeft() === 0) return end(newTokens, 'length', null);
        if (token.id !== draft[newTokens - 1]) return { newTokens, isAnswered: false };
      }
    },
  };
}

interface TokenChooser {
  readonly wantsLikeliest: boolean;
  readonly wantsLogits: boolean;
  /** Chooses from prediction number `at` of a pass; `step`: tokens that were chosen before it. */
  choose(result: SequenceResult, at: number, step: number): ChosenToken;
}

/** Greedy choices come from the head's own op; sampling, penalties and log-probabilities need logits. */
function tokenChooser(request: DecodeRequest): TokenChooser {
  const { prompt, temperature, topK, topP, seed, repetitionPenalty, topLogProbabilities } = request;
  const rng: Rng = createRng(seed).named('generate');
  const isGreedy = temperature <= 0 && repetitionPenalty === 1;
  const seenIds = new Set(repetitionPenalty === 1 ? [] : prompt);
  const idOf = ({ likeliest, logits }: SequenceResult, at: number, step: number): number => {
    if (isGreedy) return likeliest[at];
    const penalized = repetitionPenalty === 1 ? logits[at] : logits[at].slice();
    penalizeRepetition(penalized, seenIds, repetitionPenalty);
    return temperature <= 0
      ? indexOfLargest(penalized)
      : chooseToken(penalized, { temperature, topK, topP }, rng, step);
  };
  return {
    wantsLikeliest: isGreedy,
    wantsLogits: !isGreedy || topLogProbabilities !== null,
    choose(result, at, step) {
      const id = idOf(result, at, step);
      if (repetitionPenalty !== 1) seenIds.add(id);
      if (topLogProbabilities === null) return { id, logProbability: null, top: [] };
      return { id, ...chancesOf(result.logits[at], id, topLogProbabilities) };
    },
  };
}

/** The first of equal numbers; NaN is never the largest. */
function indexOfLargest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++)
    if (values[i] > values[best] || !(values[best] >= -Infinity)) best = i;
  return best;
}

/** log softmax of a token and of the `count` most likely ones. */
function chancesOf(logits: Float32Array, id: number, count: number): Omit<ChosenToken, 'id'> {
  const largest = logits[indexOfLargest(logits)];
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  const logSum = largest + Math.log(sum);
  const top = largestIds(logits, count).map((each) => ({ id: each, logProbability: logits[each] - logSum }));
  return { logProbability: logits[id] - logSum, top };
}

/** The ids of the `count` largest logits, the largest first; of equal ones the smaller id. */
function largestIds(logits: Float32Array, count: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < logits.length && count > 0; id++) {
    if (ids.length === count && !(logits[id] > logits[ids[count - 1]])) continue;
    let at = ids.length;
    while (at > 0 && logits[id] > logits[ids[at - 1]]) at--;
    ids.splice(at, 0, id);
    if (ids.length > count) ids.pop();
  }
  return ids;
}
