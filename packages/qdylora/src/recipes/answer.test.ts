import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel } from '../../test/tiny-model.ts';
import { run } from '../../test/tiny-run.ts';
import { valuesOfFlags } from '../config/explicit-values.ts';
import { openAnswerer } from './answer.ts';
import type { TextEvent } from './text/decode-text.ts';

const folder = temporaryPlace();

/**
 * A model each of whose tokens is a word with the space before it, which its decoder leaves out at the
 * beginning of a text, as SentencePiece does.
 */
function writeModelOfWords(name: string, config: object): string {
  const model = writeTinyModel(folder.in(name));
  const words = Array.from({ length: 102 }, (_, i) => `▁${String.fromCharCode(0x4e00 + i)}`);
  const vocab = ['<s>', '</s>', ...words].map((word) => [word, -1]);
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' };
  const tokenizer = {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: metaspace,
    post_processor: null,
    decoder: metaspace,
    model: { type: 'Unigram', unk_id: 0, vocab },
  };
  writeFileSync(`${model}/tokenizer.json`, JSON.stringify(tokenizer));
  writeFileSync(`${model}/tokenizer_config.json`, JSON.stringify(config));
  return model;
}

const plain = writeModelOfWords('plain', {});
const template = '{% for m in messages %}{{ m.content }}{% endfor %}';
const chat = writeModelOfWords('chat', { chat_template: template });
const pairs = folder.in('pairs.jsonl');
writeFileSync(pairs, '{"prompt":"一","completion":"丁"}\n'.repeat(4));

async function answerOf(flags: object, prompt: string | null = '一'): Promise<string> {
  const explicit = valuesOfFlags({ backend: 'host', quantization: 'none', maxNewTokens: 3, ...flags });
  using answerer = await openAnswerer(explicit, {});
  const ids =
    prompt === null ? answerer.config.promptIds! : answerer.promptOf([{ role: 'user', content: prompt }]);
  let text = '';
  for await (const event of answerer.answer(ids)) if (event.type === 'text') text += event.text;
  return text;
}

describe('the first space of an answer', () => {
  const word = /^[\u4e00-\u4e65]/;
  const spaceAndWord = /^ [\u4e00-\u4e65]/;

  it('stays where the answer goes on with its prompt', async () => {
    expect(await answerOf({ model: plain, promptIds: [2, 3] }, null)).toMatch(spaceAndWord);
    expect(await answerOf({ model: chat, promptIds: [2, 3] }, null)).toMatch(spaceAndWord);
    expect(await answerOf({ model: plain })).toMatch(spaceAndWord);
    expect(await answerOf({ model: chat, raw: true })).toMatch(spaceAndWord);
  });

  it('is left out where a chat template wrote the prompt', async () => {
    expect(await answerOf({ model: chat })).toMatch(word);
  });

  it('stays after rows of a prompt and a completion, whose texts are one', async () => {
    await run({
      model: plain,
      dataset: pairs,
      ranks: [1, 2],
      backend: 'host',
      quantization: 'none',
      microBatchSize: 2,
      maxSteps: 1,
      outputDir: folder.in('pairs'),
    });
    expect(await answerOf({ model: plain, adapter: folder.in('pairs/adapter') })).toMatch(spaceAndWord);
  });
});

describe('the length of an answer of a model with 64 positions', () => {
  const model = fileURLToPath(new URL('../../../models/fixtures/gpt2', import.meta.url));

  /** The last event of an answer, the notices about positions, and the refusal. */
  async function answerTo(promptIds: readonly number[], flags: object = {}) {
    const notices: string[] = [];
    const explicit = valuesOfFlags({ model, promptIds, backend: 'host', quantization: 'none', ...flags });
    using answerer = await openAnswerer(explicit, { onNotice: (notice) => void notices.push(notice) });
    const events: TextEvent[] = [];
    let refusal: unknown = null;
    try {
      for await (const event of answerer.answer(promptIds)) events.push(event);
    } catch (error) {
      refusal = (error as Error).message;
    }
    return {
      end: events.at(-1)?.type,
      notices: notices.filter((each) => each.includes('positions')),
      refusal,
    };
  }
  const tokens = (count: number): number[] => Array.from({ length: count }, (_, i) => 3 + i);

  it('is what the model has room for, where none was asked for', async () => {
    for (const count of [2, 63])
      expect(await answerTo(tokens(count))).toEqual({ end: 'end', notices: [], refusal: null });
    expect(await answerTo(tokens(64))).toEqual({
      end: undefined,
      notices: [],
      refusal:
        '[prompt] The model has 64 positions, but the prompt has 64 tokens, so an answer has no room. ' +
        'Shorten the prompt.',
    });
  });

  it('is refused where more was asked for, without a warning before', async () => {
    expect(await answerTo(tokens(2), { maxNewTokens: 63 })).toMatchObject({ end: 'end', refusal: null });
    expect(await answerTo(tokens(2), { maxNewTokens: 64 })).toEqual({
      end: undefined,
      notices: [],
      refusal:
        '[max_new_tokens] The model has 64 positions, but the prompt has 2 tokens and the answer up to 64. ' +
        'Shorten the prompt, or use max_new_tokens 62.',
    });
  });
});
