import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { errorOf } from '../test-support/error-of.ts';
import { fixturePath } from '../test-support/fixture-path.ts';
import { folderTokenizerFiles } from '../tokenizer/folder-tokenizer.ts';
import { readSentencePiece } from './read-sentence-piece.ts';
import { sentencePieceTokenizer } from './sentence-piece-tokenizer.ts';

const root = temporaryFolder();
const model = (name: string): string => fixturePath(`sentencepiece/${name}.model`);
const file = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(root, name), bytes);
  return join(root, name);
};

it(
  'a folder with tokenizer.model alone has the tokenizer of that file, with the special tokens that its ' +
    'config adds, and ' +
    'tokenizer.json comes first',
  () => {
    const folder = join(root, 'folder');
    mkdirSync(folder);
    copyFileSync(model('bpe'), join(folder, 'tokenizer.model'));
    const added = (): string[] => {
      const { post_processor } = folderTokenizerFiles(folder).tokenizerJson as {
        post_processor: { single: { SpecialToken?: { id: string } }[] };
      };
      return post_processor.single.flatMap(({ SpecialToken: token }) => token?.id ?? []);
    };
    expect(added()).toEqual([]);
    writeFileSync(join(folder, 'tokenizer_config.json'), '{"add_bos_token":true}');
    expect(added()).toEqual(['<s>']);
    writeFileSync(join(folder, 'tokenizer_config.json'), '{"add_bos_token":false,"add_eos_token":true}');
    expect(added()).toEqual(['</s>']);
    copyFileSync(model('unigram'), join(folder, 'tokenizer.model'));
    expect(added()).toEqual(['</s>']);
    writeFileSync(join(folder, 'tokenizer_config.json'), '{}');
    expect(added()).toEqual([]);
    writeFileSync(join(folder, 'tokenizer.json'), '{"model":"own"}');
    expect(folderTokenizerFiles(folder).tokenizerJson).toEqual({ model: 'own' });
  },
);

it('what its trainer was told is read', () => {
  expect(readSentencePiece(model('bpe'))).toMatchObject({
    modelType: 2,
    bosId: 1,
    eosId: 2,
    padId: -1,
    unkId: 0,
    charsmapBytes: 0,
    addDummyPrefix: true,
    removeExtraWhitespaces: false,
    escapeWhitespaces: true,
    treatWhitespaceAsSuffix: false,
  });
  expect(readSentencePiece(model('bpe-no-prefix'))).toMatchObject({
    modelType: 2,
    padId: 3,
    addDummyPrefix: false,
  });
  expect(readSentencePiece(model('unigram'))).toMatchObject({ modelType: 1, removeExtraWhitespaces: true });
  expect(readSentencePiece(model('bpe')).pieces.slice(0, 4)).toEqual([
    { piece: '<unk>', score: 0, type: 2 },
    { piece: '<s>', score: 0, type: 3 },
    { piece: '</s>', score: 0, type: 3 },
    { piece: '<0x00>', score: 0, type: 6 },
  ]);
});

it('what would give other tokens is refused by name', () => {
  const bytes = readFileSync(model('bpe'));
  const refused = (...fields: number[]): string =>
    errorOf(
      () => sentencePieceTokenizer(file('changed', Buffer.concat([bytes, Uint8Array.from(fields)])), {}),
      'UNSUPPORTED',
    ).message; // a later message counts
  expect(refused(0x1a, 5, 0x12, 3, 1, 2, 3)).toMatch(/precompiled_charsmap, 3 bytes.*save_pretrained/s);
  expect(refused(0x1a, 2, 0x20, 1)).toMatch(/remove_extra_whitespaces/);
  expect(refused(0x1a, 4, 0x20, 0, 0x28, 0)).toMatch(/escape_whitespaces/);
  expect(refused(0x12, 2, 0x18, 3)).toMatch(/UNIGRAM \(1\) or BPE \(2\) \(got 3/);
});

it('a damaged file is BAD_FILE, wherever it is cut, and whatever it is', () => {
  const bytes = readFileSync(model('unigram'));
  for (let at = 0; at < 400; at += 3) {
    try {
      readSentencePiece(file('cut', bytes.subarray(0, at)));
    } catch (error) {
      expect(error).toMatchObject({ code: 'BAD_FILE' });
    }
  }
  for (const odd of [
    [],
    [0x0a],
    [0x0a, 0xff],
    [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f],
    [0x08, 1],
    [0x0b],
    [0x0a, 2, 0x08, 1],
    [0x0a, 3, 0x0a, 1, 0xff],
    [0x0a, 5, 0x0a, 1, 0x61, 0x10, 1],
    [0x00, 1],
    Array<number>(12).fill(0xff),
  ]) {
    errorOf(() => readSentencePiece(file('odd', Uint8Array.from(odd))), 'BAD_FILE');
  }
});
