import { createChatTemplate, type Tokenizer } from '@qdylora/data';
import { expect, it } from 'vitest';
import { stopIdsOf } from './stop-ids.ts';

const SPECIAL = ['<|endoftext|>', '<|end|>'];

/** A tokenizer of two special tokens; any other character is a token too. */
const withTemplate = (source: string): Tokenizer =>
  ({
    eosId: 0,
    encode: (text: string) =>
      Array.from(text.match(/<\|\w+\|>|./gs) ?? [], (piece) =>
        SPECIAL.includes(piece) ? SPECIAL.indexOf(piece) : piece.codePointAt(0)!,
      ),
    decode: ([id]: number[]) => (id < SPECIAL.length ? '' : String.fromCodePoint(id)),
    chatTemplate: createChatTemplate(source, { variables: { eos_token: '<|endoftext|>' } }),
  }) as unknown as Tokenizer;

it.each([
  ['the token that ends each turn', '{{ m.content }}<|end|>\n', '', [0, 1]],
  ['that token also if the end token follows it', '{{ m.content }}<|end|>\n', '{{ eos_token }}', [0, 1]],
  ['the end token alone if it ends each turn', '{{ m.content }}{{ eos_token }}', '', [0]],
  ['no token of several characters', '{{ m.content }}<end>', '', [0]],
])('generation stops at %s', (_, turn, ending, expected) => {
  const tokenizer = withTemplate(`{% for m in messages %}${turn}{% endfor %}${ending}`);
  expect(stopIdsOf([], tokenizer)).toEqual(expected);
});
