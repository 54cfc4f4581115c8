import { describe, expect, it } from 'vitest';
import { maskPreview, NOT_COUNTED, type Example } from '../src/index.ts';
import { fixtureTokenizer } from './fixtures.ts';

const llama = fixtureTokenizer('tiny-llama2-style');
const smol = fixtureTokenizer('smollm2');
const example = (ids: number[], isCounted: (t: number) => boolean): Example => ({
  ids: Int32Array.from(ids),
  labels: Int32Array.from(ids, (id, t) => (isCounted(t) ? id : NOT_COUNTED)),
});

describe('maskPreview', () => {
  it('is the decoded text when the brackets are taken away, whatever is masked', () => {
    const text = 'the king 😀 and\nthe sea';
    for (const tokenizer of [llama, smol]) {
      const ids = tokenizer.encode(text);
      for (const every of [1, 2, 3, 7, 99])
        expect(
          maskPreview(
            example(ids, (t) => t % every === 0),
            { tokenizer },
          ).replaceAll(/[⟦⟧]/g, ''),
        ).toBe(text);
    }
  });

  it('shows the first token as not trained, since nothing comes before it', () => {
    expect(
      maskPreview(
        example(smol.encode('Hello world'), () => true),
        { tokenizer: smol },
      ),
    ).toBe('Hello⟦ world⟧');
  });

  it('colours trained tokens green and ends the colour', () => {
    expect(
      maskPreview(
        example(smol.encode('Hello world'), () => true),
        { tokenizer: smol, color: true },
      ),
    ).toBe('Hello\x1b[32m world\x1b[39m');
  });

  it('lets no control character of the data through to the terminal', () => {
    expect(
      maskPreview(
        example(smol.encode('a\x1b[2J\x07b\n\u009b'), () => false),
        { tokenizer: smol },
      ),
    ).toBe('a␛[2J␇b\n␡');
  });

  it('shows ids where there is no tokenizer, and says how many tokens it left out', () => {
    expect(
      maskPreview(
        example([5, 6, 7, 8], (t) => t >= 2),
        { tokenizer: null, maxTokens: 3 },
      ),
    ).toBe('5 6⟦ 7⟧ … 1 more');
  });
});
