import type { Tokenizer } from '@qdylora/data';
import type { ChosenToken, DecodeEvent, TokenScores } from '@qdylora/models';
import { countCharacters } from './count-characters.ts';
import { isSpecial } from './is-special.ts';
import { createStopFinder } from './stop-finder.ts';
import { createTextDecoder, type DecodedPiece } from './text-decoder.ts';

/** Why a text ended: a stop token or stop string, or `max_new_tokens`. */
export type FinishReason = 'stop' | 'length';

/** A written token and where its text begins in the answer, in Unicode characters (code points). */
export interface WrittenToken extends ChosenToken {
  readonly offset: number;
}

export type TextEvent =
  | { readonly type: 'prompt'; readonly scores: TokenScores | null }
  /** `tokens`: those whose text begins before the end of this piece. Either may be empty. */
  | { readonly type: 'text'; readonly text: string; readonly tokens: readonly WrittenToken[] }
  /** `tokens`: all that the model wrote, also those of a stop string. */
  | {
      readonly type: 'end';
      readonly reason: FinishReason;
      readonly tokens: number;
      /** The stop token that followed the text; null where there was none. */
      readonly stopToken: WrittenToken | null;
    };

export interface DecodeTextOptions {
  /** Texts at which the answer ends. */
  readonly stops?: readonly string[];
  /** The tokens that the answer goes on from; none where it begins a text of its own, as in a chat. */
  readonly context?: readonly number[];
  /** Texts of special tokens that are written; without any no special token is written. */
  readonly shownSpecialTokens?: readonly string[];
}

/**
 * The events of a request as text, which ends before the first stop string. The reader of the events leaves
 * when one is found, so that the request is cancelled.
 */
export async function* decodeText(
  events: AsyncIterable<DecodeEvent>,
  tokenizer: Pick<Tokenizer, 'decode'>,
  { stops = [], context = [], shownSpecialTokens = [] }: DecodeTextOptions = {},
): AsyncGenerator<TextEvent> {
  const skipSpecialTokens = shownSpecialTokens.length === 0;
  const decoder = createTextDecoder(tokenizer, context, { skipSpecialTokens });
  const decoded = (id: number): DecodedPiece =>
    skipSpecialTokens || isShown(id, tokenizer, shownSpecialTokens) ? decoder.push(id) : NOTHING;
  const finder = createStopFinder(stops);
  const pending: WrittenToken[] = [];
  let decodedLength = 0;
  let yieldedLength = 0;
  let count = 0;
  /** The piece with the tokens that begin in it. At the end tokens without text belong to it too. */
  const pieceOf = (text: string, isLast = false): TextEvent => {
    yieldedLength += countCharacters(text);
    const end = pending.findIndex(({ offset }) => offset >= yieldedLength);
    const tokens = isLast || end < 0 ? pending.splice(0) : pending.splice(0, end);
    return { type: 'text', text, tokens };
  };
  for await (const event of events) {
    if (event.type === 'prompt') {
      yield event;
    } else if (event.type === 'token') {
      const { id, logProbability, top } = event;
      count++;
      const piece = decoded(id);
      pending.push({ id, logProbability, top, offset: decodedLength + piece.begin });
      decodedLength += countCharacters(piece.text);
      const { text, isStopped } = finder.push(piece.text);
      if (text !== '') yield pieceOf(text);
      if (isStopped) return yield { type: 'end', reason: 'stop', tokens: count, stopToken: null };
    } else {
      const { text, isStopped } = finder.push(decoder.finish());
      const rest = isStopped ? text : text + finder.finish();
      if (rest !== '' || pending.length > 0) yield pieceOf(rest, !isStopped);
      const stopToken = isStopped ? null : event.stopToken;
      yield {
        type: 'end',
        reason: isStopped ? 'stop' : event.reason,
        tokens: count,
        stopToken: stopToken && { ...stopToken, offset: yieldedLength },
      };
    }
  }
}

const NOTHING: DecodedPiece = { text: '', begin: 0 };

/** Whether a token is no special token, or the special token of one of these texts. */
function isShown(
  id: number,
  tokenizer: Pick<Tokenizer, 'decode'>,
  shownSpecialTokens: readonly string[],
): boolean {
  if (!isSpecial(id, tokenizer)) return true;
  const text = tokenizer.decode([id]);
  return text === '' || shownSpecialTokens.includes(text);
}
