import type { Answerer } from '../../recipes/answer.ts';
import type { FinishReason } from '../../recipes/text/decode-text.ts';
import { countedText, countText } from '../../report/number-text.ts';
import type { Terminal } from '../terminal.ts';

/** The first token comes after the whole prompt was read, which takes seconds for a long prompt. */
export const readingText = (promptTokens: number): string =>
  `reading the prompt (${countText(promptTokens)} tokens) …`;

/** Says that an answer may go on. */
export function noteLength(
  { config: { maxNewTokens }, longestAnswer }: Answerer,
  prompt: readonly number[],
  { finish, terminal }: { readonly finish: FinishReason; readonly terminal: Terminal },
): void {
  if (finish !== 'length') return;
  const length = longestAnswer(prompt.length);
  const reason =
    length < maxNewTokens
      ? `The model has ${countText(prompt.length + length)} positions.`
      : `For a longer one: --max-new-tokens ${2 * maxNewTokens}.`;
  terminal.note(
    terminal.paint('dim', `The answer was cut off after ${countedText(length, 'token')}. ${reason}`),
  );
}
