import { labelExchange } from './label-exchange.ts';
import { labelMessages } from './label-messages.ts';
import { readMessages } from './messages.ts';
import { assertTokenizer, textOf, type RowFormat } from './row-format.ts';

/**
 * `{"prompt": "…", "completion": "…"}`: both as written, with what the tokenizer's files put at the start,
 * and EOS. Both as lists of messages: one conversation through the chat template, of which the assistant
 * turns of the completion count.
 */
export const promptCompletionFormat: RowFormat = {
  name: 'prompt_completion',
  required: ['prompt', 'completion'],
  optional: [],
  hasPrompts: true,
  label(row, settings) {
    if (Array.isArray(row.value.prompt)) {
      const told = readMessages(row, 'prompt').map((message) =>
        message.role === 'assistant' ? { ...message, weight: 0 } : message,
      );
      return labelMessages([...told, ...readMessages(row, 'completion')], row, settings);
    }
    const exchange = {
      prompt: textOf(row, 'prompt'),
      answer: textOf(row, 'completion'),
      addSpecialTokens: true,
    };
    return labelExchange(exchange, row, {
      ...settings,
      tokenizer: assertTokenizer(settings.tokenizer, 'prompt_completion'),
    });
  },
};
