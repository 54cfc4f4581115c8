import { labelExchange } from './label-exchange.ts';
import { assertTokenizer, textOf, type RowFormat } from './row-format.ts';

/** `{"prompt": "…", "completion": "…"}`: both as written, with what the tokenizer's files put at the start, and EOS. */
export const promptCompletionFormat: RowFormat = {
  name: 'prompt_completion', required: ['prompt', 'completion'], optional: [], hasPrompts: true,
  label(row, settings) {
    const exchange = { prompt: textOf(row, 'prompt'), answer: textOf(row, 'completion'), addSpecialTokens: true };
    return labelExchange(exchange, row, { ...settings, tokenizer: assertTokenizer(settings.tokenizer, 'prompt_completion') });
  },
};
