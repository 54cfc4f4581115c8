import type { Tokenizer } from '../tokenizer/tokenizer.ts';

export interface AnswerOptions {
  /** Tokens of the prompt. */
  readonly promptIds: readonly number[];
  readonly prompt: string;
  readonly answer: string;
  /** Tokenizes a prompt, as it begins a sequence. */
  readonly encodePrompt: (text: string) => readonly number[];
}

/** Its token seldom joins the text behind it. */
const NEWLINE = '\n';

/**
 * Tokens of an answer behind the tokens of its prompt, so that both together read as one text.
 * By default the answer is tokenized alone. A tokenizer that adds a space at the start of every text (Llama
 * 2) would add one to the answer; then the ids after the prompt in the joint text are used, or, if the prompt
 * has other tokens there, the ids after a newline.
 */
export function answerIds(
  tokenizer: Tokenizer,
  { promptIds, prompt, answer, encodePrompt }: AnswerOptions,
): readonly number[] {
  const alone = tokenizer.encode(answer);
  const last = promptIds.slice(-1);
  if (tokenizer.decode([...last, ...alone]) === tokenizer.decode(last) + answer) return alone;
  const joint = encodePrompt(prompt + answer);
  const text = tokenizer.decode(joint);
  const behindNewline = idsBehind(tokenizer.encode(NEWLINE + answer), tokenizer.encode(NEWLINE));
  const found = [alone, idsBehind(joint, promptIds), behindNewline].find(
    (ids) => ids !== null && ids.length > 0 && tokenizer.decode([...promptIds, ...ids]) === text,
  );
  return found ?? alone;
}

/** The ids behind a beginning; null if they do not begin with it. */
const idsBehind = (ids: readonly number[], beginning: readonly number[]): readonly number[] | null =>
  beginning.every((id, i) => id === ids[i]) ? ids.slice(beginning.length) : null;
