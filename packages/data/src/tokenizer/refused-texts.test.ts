import { QdyloraError } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { tokenizerJson } from '../../test/fixtures.ts';
import { loadTokenizer } from './load-tokenizer.ts';

/** What a program in plain JavaScript may give. */
type Given = never;

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
  ['encode nothing', () => tokenizer.encode(undefined as Given), 'nothing'],
  ['encode several texts', () => tokenizer.encode(['a'] as Given), 'Encode one text at a time.'],
  [
    'encode with an option of Python',
    () => tokenizer.encode('a', { add_special_tokens: true } as Given),
    'Did you mean addSpecialTokens?',
  ],
  [
    'encode with a text for true',
    () => tokenizer.encode('a', { addSpecialTokens: 'false' } as Given),
    'addSpecialTokens',
  ],
  ['decode one id', () => tokenizer.decode(5 as Given), 'One id stands in an array too: [id].'],
  ['decode a text', () => tokenizer.decode('5' as Given), '"5"'],
  ['decode null', () => tokenizer.decode(null as Given), 'null'],
  [
    'decode with an option of Python',
    () => tokenizer.decode([5], { skip_special_tokens: true } as Given),
    'Did you mean skipSpecialTokens?',
  ],
  [
    'decode with a number for true',
    () => tokenizer.decode([5], { skipSpecialTokens: 1 } as Given),
    'skipSpecialTokens',
  ],
])('a tokenizer does not %s', async (_, call, message) => {
  expect(await refusal(call)).toContain(message);
});
