import { QdyloraError } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { tokenizerJson } from '../../test/fixtures.ts';
import { loadTokenizer } from './load-tokenizer.ts';

/** What a program in plain JavaScript may give. */
type Invalid = never;

const tokenizer = loadTokenizer({
  tokenizerJson: tokenizerJson('smollm2'),
  tokenizerConfig: null,
  chatTemplate: null,
});

async function refusal(call: () => unknown): Promise<string> {
  const error: unknown = await Promise.resolve()
    .then(call)
    .then(
      () => 'nothing was refused',
      (thrown: unknown) => thrown,
    );
  if (!QdyloraError.isInstance(error)) throw error;
  expect(error.code).toBe('BAD_ARGUMENT');
  return error.message;
}

it.each<[string, () => unknown, string]>([
  ['encode nothing', () => tokenizer.encode(undefined as Invalid), 'nothing'],
  ['encode several texts', () => tokenizer.encode(['a'] as Invalid), 'Encode one text at a time.'],
  [
    'encode with an option of Python',
    () => tokenizer.encode('a', { add_special_tokens: true } as Invalid),
    'Did you mean `addSpecialTokens`?',
  ],
  [
    'encode with a text for true',
    () => tokenizer.encode('a', { addSpecialTokens: 'false' } as Invalid),
    'addSpecialTokens',
  ],
  ['decode one id', () => tokenizer.decode(5 as Invalid), 'One id stands in an array too: [id].'],
  ['decode a text', () => tokenizer.decode('5' as Invalid), '"5"'],
  ['decode null', () => tokenizer.decode(null as Invalid), 'null'],
  [
    'decode with an option of Python',
    () => tokenizer.decode([5], { skip_special_tokens: true } as Invalid),
    'Did you mean `skipSpecialTokens`?',
  ],
  [
    'decode with a number for true',
    () => tokenizer.decode([5], { skipSpecialTokens: 1 } as Invalid),
    'skipSpecialTokens',
  ],
])('a tokenizer does not %s', async (_, call, message) => {
  expect(await refusal(call)).toContain(message);
});
