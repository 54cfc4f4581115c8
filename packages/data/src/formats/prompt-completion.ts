import { labelExchange } from './label-exchange.ts';
import { labelMessages } from './label-messages.ts';
import { readMessages } from './messages.ts';
import { assertTokenizer, textOf, type RowFormat } from './row-format.ts';

/**
 * `{"prompt": "…", "completion": "…"}`.
 * Texts are used as written, with BOS as the tokenizer's files say, and EOS. Two lists of messages are one
 * conversation, formatted with the chat template; the loss is on the assistant turns of the completion.
 */
export const promptCompletionFormat = {
  name: 'prompt_completion',
  required: ['prompt', 'completion'],
  optional: ['tools'],
  readsVariables: ({ value }, { applyChatTemplate }) => applyChatTemplate || Array.isArray(value.prompt),
  label(row, settings) {
    if (Array.isArray(row.value.prompt)) {
      const promptMessages = readMessages(row, 'prompt').map((message) =>
        message.role === 'assistant' && settings.completionOnlyLoss ? { ...message, weight: 0 } : message,
      );
      return labelMessages([...promptMessages, ...readMessages(row, 'completion')], row, settings);
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
} as const satisfies RowFormat;
