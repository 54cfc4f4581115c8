import { labelExchange } from './label-exchange.ts';
import { assertTokenizer, textOf, type RowFormat } from './row-format.ts';

/** The prompt of a question. Evaluation must use the same prompt, or its numbers are not comparable. */
export const questionPrompt = (question: string): string => `Question: ${question}\nAnswer: `;

/**
 * `{"question": "…", "answer": "…"}` (GSM8K): `questionPrompt(question)` and `{answer}{eos}`, both without
 * special tokens at the start.
 */
export const questionAnswerFormat = {
  name: 'question_answer',
  required: ['question', 'answer'],
  optional: [],
  readsVariables: (_, { applyChatTemplate }) => applyChatTemplate,
  label(row, settings) {
    const question = textOf(row, 'question');
    const answer = textOf(row, 'answer');
    const exchange = {
      prompt: settings.applyChatTemplate ? question : questionPrompt(question),
      answer,
      addSpecialTokens: false,
    };
    return labelExchange(exchange, row, {
      ...settings,
      tokenizer: assertTokenizer(settings.tokenizer, 'question_answer'),
    });
  },
} as const satisfies RowFormat;
