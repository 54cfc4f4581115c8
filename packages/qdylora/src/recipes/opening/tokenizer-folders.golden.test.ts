import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import { goldenSums, temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, test } from 'vitest';
import { openTokenizer } from './open-base.ts';
import { writeModelFiles } from '../outputs/write-model.ts';

interface Case {
  readonly files: Record<string, string | number>;
  readonly ids: number[][];
  readonly with_special: number[][];
  readonly decoded: string[];
  readonly bos: string | null;
  readonly eos: string | null;
}

/**
 * Folders of files and the ids of transformers 5.24 for their texts
 * (packages/testing/makers/make_tokenizer_folders.py).
 */
const FOLDER = fileURLToPath(new URL('../../../fixtures/tokenizer-folders/', import.meta.url));
const {
  texts,
  files: large,
  cases,
} = JSON.parse(readFileSync(`${FOLDER}expected.json`, 'utf8')) as {
  texts: string[];
  files: string[];
  cases: Record<string, Case>;
};
const root = temporaryFolder();

function folderOf(name: string, files: Readonly<Record<string, string | number>>): string {
  const folder = join(root, name);
  for (const [file, text] of Object.entries({ 'config.json': '{"model_type":"llama"}', ...files })) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), typeof text === 'number' ? large[text] : text);
  }
  return folder;
}

test('the golden file has the hash of SHA256SUMS', () => {
  for (const { file, said, hash } of goldenSums(FOLDER)) expect(hash, file).toBe(said);
});

describe.each(Object.entries(cases))(
  'a folder with %s',
  (name, { files, ids, with_special, decoded, bos, eos }) => {
    test('gives the ids, texts and special tokens of transformers', async () => {
      const tokenizer = (await openTokenizer(folderOf(name, files)))!;
      for (const [i, text] of texts.entries()) {
        expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids[i]);
        expect(tokenizer.decode(ids[i]), JSON.stringify(text)).toBe(decoded[i]);
      }
      expect(texts.slice(0, 2).map((text) => tokenizer.encode(text, { addSpecialTokens: true }))).toEqual(
        with_special,
      );
      expect(
        [tokenizer.bosId, tokenizer.eosId].map((id) => (id === null ? null : tokenizer.decode([id]))),
      ).toEqual([bos, eos]);
    });
  },
);

describe('a folder with a vocabulary and merges alone', () => {
  const { files } = cases['vocabulary and merges of a gpt2 model, nothing else'];

  test.each([
    [
      'an unknown class',
      { 'tokenizer_config.json': '{"tokenizer_class":"BartTokenizer"}' },
      'UNSUPPORTED',
      /GPT2Tokenizer.*got "BartTokenizer"/,
    ],
    ['no class', { 'config.json': '{"model_type":"llama"}' }, 'UNSUPPORTED', /got none/],
    [
      'a line of three pieces',
      { 'merges.txt': '#version: 0.2\nh e\nh e l\n' },
      'BAD_FILE',
      /Line 3 must be .* \(got "h e l"/,
    ],
  ] as const)('is refused with %s', async (name, changed, code, problem) => {
    await expect(openTokenizer(folderOf(`refused ${name}`, { ...files, ...changed }))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(problem) as string,
    });
  });
});

describe('chat templates in files', () => {
  const json = { 'tokenizer.json': cases['additional special tokens by name'].files['tokenizer.json'] };
  const config = {
    'tokenizer_config.json':
      '{"chat_template":[{"name":"default","template":"config"},{"name":"tool_use","template":"config ' +
      'tools"}]}',
  };

  test.each([
    [
      'win over those of tokenizer_config.json, all of them',
      { ...json, ...config, 'chat_template.jinja': 'file' },
      ['file', null],
    ],
    [
      'win where there is only one for tools, and then there is none for others',
      { ...json, ...config, 'additional_chat_templates/tool_use.jinja': 'tools' },
      [null, 'tools'],
    ],
    [
      'may name the usual one',
      {
        ...json,
        ...config,
        'chat_template.jinja': 'file',
        'additional_chat_templates/default.jinja': 'other',
        'additional_chat_templates/rag.jinja': 'rag',
      },
      ['other', null],
    ],
    [
      'are none where the folder for them has none',
      { ...json, ...config, 'additional_chat_templates/notes.txt': 'x' },
      ['config', 'config tools'],
    ],
  ] as const)('%s', async (name, files, expected) => {
    using checkpoint = await openCheckpoint(folderOf(`templates ${name.slice(0, 20)}`, files));
    expect([checkpoint.tokenizerFiles.chatTemplate, checkpoint.tokenizerFiles.toolTemplate]).toEqual(
      expected,
    );
  });

  test('and all files of the tokenizer are copied with a model', async () => {
    const { files } = cases['vocabulary and merges, tokens in the older files'];
    const from = folderOf('copied', {
      ...files,
      'chat_template.jinja': 'file',
      'additional_chat_templates/tool_use.jinja': 'tools',
      'modeling_x.py': 'no',
    });
    const to = join(root, 'copy');
    mkdirSync(to);
    await writeModelFiles(to, { config: { model_type: 'gpt2' }, tokenizerFolder: from });
    for (const name of [
      'vocab.json',
      'merges.txt',
      'added_tokens.json',
      'special_tokens_map.json',
      'chat_template.jinja',
      'additional_chat_templates/tool_use.jinja',
    ])
      expect(readFileSync(join(to, name), 'utf8'), name).toBe(readFileSync(join(from, name), 'utf8'));
    expect(() => readFileSync(join(to, 'modeling_x.py'))).toThrow(/ENOENT/);
  });
});
