import { labelConversation } from '../label-conversation.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { maskPrompt, type LabelledTokens } from '../mask-prompt.ts';
import { assertTemplate, type Row, type RowSettings } from './row-format.ts';

export interface Exchange {
  readonly prompt: string;
  readonly answer: string;
  /** Whether a plain prompt begins with what the tokenizer's files put at the start of a text. */
  readonly addSpecialTokens: boolean;
}

/**
 * A prompt and its answer. Plainly: `{prompt}` and `{answer}{eos}` tokenized apart, so that the prompt's
 * tokens are the ones that generation will start from.
 * With `applyChatTemplate`: as a user turn and an assistant turn.
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
      { messages },
      { tokenizer, template: assertTemplate(tokenizer), completionOnlyLoss, where: row.where },
    );
  }
  const told = addSpecialTokens ? opening(tokenizer, prompt) : tokenizer.encode(prompt);
  return maskPrompt(
    [
      { ids: told, isAnswer: false },
      { ids: [...tokenizer.encode(answer), ...ending(tokenizer)], isAnswer: true },
    ],
    completionOnlyLoss,
  );
}

/**
 * A text that begins a sequence, with the special tokens that the tokenizer's files put before it (BOS), not
 * those behind it.
 */
export function opening(tokenizer: Tokenizer, text: string): number[] {
  const ids = tokenizer.encode(text, { addSpecialTokens: true });
  return tokenizer.eosId !== null &&
    ids.at(-1) === tokenizer.eosId &&
    tokenizer.encode(text).at(-1) !== tokenizer.eosId
    ? ids.slice(0, -1)
    : ids;
}

/** What closes an answer or a document. */
export const ending = (tokenizer: Tokenizer): number[] => (tokenizer.eosId === null ? [] : [tokenizer.eosId]);
