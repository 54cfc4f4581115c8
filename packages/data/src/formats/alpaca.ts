import { labelExchange } from './label-exchange.ts';
import { assertTokenizer, textOf, type RowFormat } from './row-format.ts';

/** The prompt of the Stanford Alpaca project, with the newline after "Response:" that later projects use. */
export const alpacaPrompt = (instruction: string, input: string): string =>
  input === ''
    ? `Below is an instruction that describes a task. Write a response that appropriately completes the ` +
      `request.\n\n### Instruction:\n${instruction}\n\n### Response:\n`
    : `Below is an instruction that describes a task, paired with an input that provides further context. ` +
      `Write a response that appropriately completes the request.\n\n### ` +
      `Instruction:\n${instruction}\n\n### Input:\n${input}\n\n### Response:\n`;

/** `{"instruction": "…", "input": "…", "output": "…"}`; `input` may be empty or missing. */
export const alpacaFormat: RowFormat = {
  name: 'alpaca',
  required: ['instruction', 'output'],
  optional: ['input'],
  hasPrompts: true,
  label(row, settings) {
    const instruction = textOf(row, 'instruction');
    const input = (row.value.input ?? '') === '' ? '' : textOf(row, 'input');
    const prompt = settings.applyChatTemplate
      ? [instruction, input].filter((part) => part !== '').join('\n\n')
      : alpacaPrompt(instruction, input);
    return labelExchange({ prompt, answer: textOf(row, 'output'), addSpecialTokens: true }, row, {
      ...settings,
      tokenizer: assertTokenizer(settings.tokenizer, 'alpaca'),
    });
  },
};
