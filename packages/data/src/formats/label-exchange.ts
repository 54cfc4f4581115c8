import { labelConversation } from '../labels/label-conversation.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { maskPrompt, type LabelledTokens } from '../labels/mask-prompt.ts';
import { answerIds } from './answer-ids.ts';
import { readVariables } from './read-variables.ts';
import { assertTemplate, type Row, type RowSettings } from './row-format.ts';

export interface Exchange {
  readonly prompt: string;
  readonly answer: string;
  /**
   * True if a plain prompt begins with the special tokens that the tokenizer's files add at the start of a
   * text.
   */
  readonly addSpecialTokens: boolean;
}

/**
 * Labels a prompt and its answer.
 * Plain: `{prompt}` and `{answer}{eos}` (one EOS if the answer ends with it), tokenized separately, so that
 * the prompt has the tokens that generation starts from; the answer is no beginning of a text (`answerIds`).
 * With `applyChatTemplate`: a user turn and an assistant turn.
 */
export function labelExchange(
  { prompt, answer, addSpecialTokens }: Exchange,
  row: Row,
  settings: RowSettings & { readonly tokenizer: Tokenizer },
): LabelledTokens {
  const { tokenizer, completionOnlyLoss, applyChatTemplate } = settings;
  if (applyChatTemplate) {
    const messages = [
      { role: 'user', content: prompt },
      { role: 'assistant', content: answer },
    ];
    return labelConversation(
      { messages, variables: readVariables(row) },
      { tokenizer, template: assertTemplate(tokenizer), completionOnlyLoss, where: row.where },
    );
  }
  const encodePrompt = (text: string): readonly number[] =>
    addSpecialTokens ? encodeSequenceStart(tokenizer, text) : tokenizer.encode(text);
  const promptIds = encodePrompt(prompt);
  const answerTokenIds = answerIds(tokenizer, { promptIds, prompt, answer, encodePrompt });
  return maskPrompt(
    [
      { ids: promptIds, isAnswer: false },
      { ids: appendEos(tokenizer, answerTokenIds), isAnswer: true },
    ],
    completionOnlyLoss,
  );
}

/**
 * Tokens of a text at the start of a sequence, with the special tokens that the tokenizer's files add before
 * a text (BOS), without those after it. BOS may be the same token as EOS.
 */
export function encodeSequenceStart(tokenizer: Tokenizer, text: string): number[] {
  const ids = tokenizer.encode(text, { addSpecialTokens: true });
  const { bosId, eosId } = tokenizer;
  const isOnlyBos = ids.length === 1 && bosId === eosId;
  return eosId !== null && !isOnlyBos && ids.at(-1) === eosId && tokenizer.encode(text).at(-1) !== eosId
    ? ids.slice(0, -1)
    : ids;
}

/** The tokens of an answer or a document, closed by EOS unless they already end with it. */
export const appendEos = ({ eosId }: Tokenizer, ids: readonly number[]): readonly number[] =>
  eosId === null || ids.at(-1) === eosId ? ids : [...ids, eosId];
