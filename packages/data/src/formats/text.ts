import { maskPrompt } from '../mask-prompt.ts';
import { ending, opening } from './label-exchange.ts';
import { assertTokenizer, textOf, type RowFormat } from './row-format.ts';

/**
 * `{"text": "…"}`: a document, every token counted, with what the tokenizer's files put at the start, and
 * EOS.
 */
export const textFormat: RowFormat = {
  name: 'text',
  required: ['text'],
  optional: [],
  hasPrompts: false,
  label(row, settings) {
    const tokenizer = assertTokenizer(settings.tokenizer, 'text');
    return maskPrompt([
      { ids: [...opening(tokenizer, textOf(row, 'text')), ...ending(tokenizer)], isAnswer: true },
    ]);
  },
};
