import { maskPrompt } from '../labels/mask-prompt.ts';
import { encodeSequenceStart, appendEos } from './label-exchange.ts';
import { assertTokenizer, textOf, type RowFormat } from './row-format.ts';

/** `{"text": "…"}`: a document. The loss is on every token. BOS as the tokenizer's files say, and one EOS. */
export const textFormat = {
  name: 'text',
  required: ['text'],
  optional: [],
  label(row, settings) {
    const tokenizer = assertTokenizer(settings.tokenizer, 'text');
    return maskPrompt([
      { ids: appendEos(tokenizer, encodeSequenceStart(tokenizer, textOf(row, 'text'))), isAnswer: true },
    ]);
  },
} as const satisfies RowFormat;
