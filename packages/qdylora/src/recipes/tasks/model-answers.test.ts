import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { hfConfigOf, writeGgufModel } from '@qdylora/checkpoint';
import { expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel } from '../../../test/tiny-model.ts';
import { TINY_CONFIG } from '../../../test/tiny-files.ts';
import type { OpenModel } from '../opening/open-model.ts';
import type { EvaluateTasksConfig } from './evaluate-tasks-config.ts';
import { modelAnswers } from './model-answers.ts';

const folder = temporaryPlace();
const model = writeTinyModel(folder.in('model'), { tokenizer: true });

/** The file of the answers of a model whose weights are always the same. */
async function answerFile(tokenizerFolder: string, adapterFolder?: string): Promise<string> {
  const place = temporaryPlace();
  const opened = {
    source: { name: 'tiny', fingerprint: 'same', tokenizerFolder, saved: null },
    adapter: adapterFolder ? { read: { folder: adapterFolder } } : null,
    chosen: { backend: { name: 'host' } },
  } as unknown as OpenModel;
  const answersOf = await modelAnswers(opened, { cacheRequests: place.path } as EvaluateTasksConfig);
  answersOf(adapterFolder ? 1 : null).add({ type: 'generate', context: '', until: [] } as never, 'a');
  return readdirSync(place.path)[0]!;
}

/** Files of answers before and after the content of a file changes. */
async function filesAround(path: string, edited: string): Promise<readonly [string, string]> {
  const text = readFileSync(edited, 'utf8');
  const before = await answerFile(path);
  writeFileSync(edited, text.replace(/\}\s*$/, ', "edited": 1}'));
  const after = await answerFile(path);
  writeFileSync(edited, text);
  expect(await answerFile(path)).toBe(before);
  return [before, after];
}

it.each(['tokenizer.json', 'config.json'])('answers change with %s of the model', async (file) => {
  for (const path of [model, `${model}/model.safetensors`]) {
    const [before, after] = await filesAround(path, `${model}/${file}`);
    expect(after, path).not.toBe(before);
  }
});

it('answers change with the config and the tokenizer in a GGUF file', async () => {
  const tokenizerJson = JSON.parse(readFileSync(`${model}/tokenizer.json`, 'utf8')) as {
    model: { vocab: Record<string, number> };
  };
  const write = async (name: string, config: object, text: string): Promise<string> => {
    const path = folder.in(`${name}.gguf`);
    const { a, ...others } = tokenizerJson.model.vocab;
    const vocab = { ...others, [text]: a! };
    await writeGgufModel(path, {
      name: 'tiny',
      config: hfConfigOf('config.json', { ...TINY_CONFIG, ...config }),
      type: 'F32',
      tensors: [
        { name: 'model.embed_tokens.weight', shape: [104, 16], values: () => new Float32Array(104 * 16) },
      ],
      tokenizer: {
        tokenizerJson: { ...tokenizerJson, model: { ...tokenizerJson.model, vocab } },
        tokenizerConfig: {},
        chatTemplate: null,
        toolTemplate: null,
        specialTokens: { bos: null, eos: null, pad: null },
      },
    });
    return answerFile(path);
  };
  const plain = await write('plain', {}, 'a');
  expect(await write('same', {}, 'a')).toBe(plain);
  expect(await write('other token', {}, '😀')).not.toBe(plain);
  expect(await write('other base', { rope_theta: 20_000 }, 'a')).not.toBe(plain);
});

it('answers are kept for an adapter of more than 2 GiB, which no buffer holds', async () => {
  const adapter = folder.in('adapter');
  const path = `${adapter}/adapter_model.safetensors`;
  mkdirSync(adapter);
  writeFileSync(path, '');
  truncateSync(path, 2 ** 31 + 1); // zeros, which take no room on the disk
  expect(await answerFile(model, adapter)).toMatch(/^tiny.*r1-[0-9a-f]{16}\.jsonl$/);
}, 120_000);
