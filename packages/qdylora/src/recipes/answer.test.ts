import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel } from '../../test/tiny-model.ts';
import { run } from '../../test/tiny-run.ts';
import { valuesOfFlags } from '../config/explicit-values.ts';
import { openAnswerer } from './answer.ts';

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

  it('is left out where the answer is a text of its own, as in training', async () => {
    expect(await answerOf({ model: chat })).toMatch(word);
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
    expect(await answerOf({ model: plain, adapter: folder.in('pairs/adapter') })).toMatch(word);
  });
});
