import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer } from '@qdylora/data';
import { describe, expect, it } from 'vitest';
import { HARNESS_FIXTURES } from '../../../test/harness-cases.ts';
import { encodePair, encodeText, prefixToken, rollingWindows, scoredTokens } from './token-pairs.ts';

interface Expected {
  readonly max_length: number;
  readonly pairs: readonly {
    readonly context: string;
    readonly continuation: string;
    readonly tokens: readonly [number[], number[]] | null;
  }[];
  readonly texts: readonly { readonly text: string; readonly windows: readonly [number[], number[]][] }[];
}

/** Tokens of lm-evaluation-harness 0.4.13 with the tokenizer of the embedded base (make_harness_model.py). */
const EXPECTED = JSON.parse(readFileSync(join(HARNESS_FIXTURES, 'model.expected.json'), 'utf8')) as Expected;
const baseFile = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../../embedded-base/model/${name}`, import.meta.url), 'utf8'));
const tokenizer = loadTokenizer({
  tokenizerJson: baseFile('tokenizer.json'),
  tokenizerConfig: baseFile('tokenizer_config.json') as Record<string, unknown>,
  chatTemplate: null,
});

describe('tokens equal those of the harness', () => {
  it('contexts and continuations', () => {
    for (const { context, continuation, tokens } of EXPECTED.pairs) {
      if (!tokens) continue; // without a context the harness has no such function
      const pair = encodePair(tokenizer, context, continuation);
      expect([pair.context, pair.continuation], context).toEqual(tokens);
    }
  });

  it('windows over texts', () => {
    for (const { text, windows } of EXPECTED.texts) {
      const ids = encodeText(tokenizer, text);
      const pairs = rollingWindows(ids, prefixToken(tokenizer), EXPECTED.max_length);
      expect(
        pairs.map(({ context, continuation }) => [context, continuation]),
        text,
      ).toEqual(windows);
    }
  });

  it('a continuation that is empty or longer than the model reads is refused', () => {
    expect(() => scoredTokens({ context: [1], continuation: [] }, 4)).toThrow('1 to 4 tokens');
    expect(() => scoredTokens({ context: [1], continuation: [1, 2, 3, 4, 5] }, 4)).toThrow('got 5 after 1');
    expect(scoredTokens({ context: [7, 8], continuation: [1, 2, 3, 4] }, 4)).toEqual({
      ids: [8, 1, 2, 3],
      targets: [1, 2, 3, 4],
    });
  });
});
