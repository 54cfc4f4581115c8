import { readFileSync, writeFileSync } from 'node:fs';
import { openCheckpoint } from '@qdylora/checkpoint';
import { expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel } from '../../../test/tiny-model.ts';
import { writeModelFolder } from './write-model.ts';

it('a model from a single file keeps its chat template for tools', async () => {
  const folder = temporaryPlace();
  const model = writeTinyModel(folder.in('model'), { tokenizer: true });
  const path = `${model}/tokenizer_config.json`;
  const chat_template = [
    { name: 'default', template: 'chat' },
    { name: 'tool_use', template: 'tools' },
  ];
  const tokenizerConfig = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...tokenizerConfig, chat_template }));
  for (const [name, tokenizerFolder] of [
    ['from-folder', model],
    ['from-file', `${model}/model.safetensors`],
  ]) {
    const to = folder.in(name!);
    await writeModelFolder(to, {
      tensors: [],
      config: { model_type: 'llama' },
      tokenizerFolder: tokenizerFolder!,
    });
    using written = await openCheckpoint(to);
    const { chatTemplate, toolTemplate } = written.tokenizerFiles;
    expect([chatTemplate, toolTemplate], name).toEqual(['chat', 'tools']);
  }
});
