import { maskPrompt } from '../labels/mask-prompt.ts';
import { ending, opening } from './label-exchange.ts';
import { assertTokenizer, textOf, type RowFormat } from './row-format.ts';

/** `{"text": "…"}`: a document. The loss is on every token. BOS as the tokenizer's files say, and EOS. */
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
