import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, test } from 'vitest';
import { openTokenizer } from './open-base.ts';

/** Models that SentencePiece 0.2.3 trained, and its ids (packages/testing/makers/make_sentencepiece.py). */
const FOLDER = fileURLToPath(new URL('../../../../checkpoint/fixtures/sentencepiece/', import.meta.url));
const { texts, cases } = JSON.parse(readFileSync(`${FOLDER}expected.json`, 'utf8')) as {
  texts: string[];
  cases: Record<string, { bos: number; eos: number; ids: number[][] }>;
};

describe.each(Object.entries(cases))(
  'a folder with a tokenizer.model of the kind %s and no tokenizer.json',
  (name, { bos, ids }) => {
    test('gives the ids of SentencePiece, and the texts back', async () => {
      const root = temporaryFolder();
      copyFileSync(`${FOLDER}${name}.model`, join(root, 'tokenizer.model'));
      writeFileSync(join(root, 'config.json'), '{"model_type":"llama"}');
      const config = '{"add_bos_token":true,"bos_token":"<s>","eos_token":"</s>"}';
      writeFileSync(join(root, 'tokenizer_config.json'), config);
      const tokenizer = (await openTokenizer(root))!;
      const isUnigram = name.startsWith('unigram');
      for (const [i, text] of texts.entries()) {
        expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids[i]);
        if (!isUnigram) expect(tokenizer.decode(ids[i]), JSON.stringify(text)).toBe(text);
        if (!isUnigram) expect(tokenizer.encode(text, { addSpecialTokens: true })).toEqual([bos, ...ids[i]]);
      }
      expect(tokenizer.bosId).toBe(bos);
    });
  },
);
