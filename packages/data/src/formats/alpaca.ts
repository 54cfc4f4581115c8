import { badData } from '../bad-data.ts';
import { labelExchange } from './label-exchange.ts';
import { assertTokenizer, textOf, type Row, type RowFormat } from './row-format.ts';

/** The prompt of the Stanford Alpaca project, with the newline after "Response:" that later projects use. */
export const alpacaPrompt = (instruction: string, input: string): string =>
  input === ''
    ? `Below is an instruction that describes a task. Write a response that appropriately completes the ` +
      `request.\n\n### Instruction:\n${instruction}\n\n### Response:\n`
    : `Below is an instruction that describes a task, paired with an input that provides further context. ` +
      `Write a response that appropriately completes the request.\n\n### ` +
      `Instruction:\n${instruction}\n\n### Input:\n${input}\n\n### Response:\n`;

/**
 * `{"instruction": "…", "input": "…", "output": "…"}`; `input` may be empty or missing. Rows with a system
 * text or earlier turns are refused: the Alpaca prompt has no place for them.
 */
export const alpacaFormat = {
  name: 'alpaca',
  required: ['instruction', 'output'],
  optional: ['input'],
  readsVariables: (_, { applyChatTemplate }) => applyChatTemplate,
  label(row, settings) {
    assertOneExchange(row);
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
} as const satisfies RowFormat;

/** @throws QdyloraError BAD_DATA for LLaMA-Factory's columns of a system text and earlier turns */
function assertOneExchange({ value, where }: Row): void {
  const key = ['system', 'history'].find((name) => {
    const content = value[name] ?? '';
    return content !== '' && !(Array.isArray(content) && content.length === 0);
  });
  if (key === undefined) return;
  throw badData(
    where,
    `A row of the format alpaca is one exchange, and has no ${JSON.stringify(key)}`,
    'Write the row as "messages": the system text, the earlier turns, the instruction and the output.',
  );
}
