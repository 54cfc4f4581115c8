import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { folderTokenizerFiles } from './folder-tokenizer.ts';

const root = temporaryFolder();

/** The tokenizer class of a folder whose files name a type of model and a class. */
function classOf(modelType: string, tokenizerClass: string): unknown {
  const folder = join(root, `${modelType} ${tokenizerClass}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ model_type: modelType }));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ tokenizer_class: tokenizerClass }));
  return folderTokenizerFiles(folder).tokenizerConfig?.tokenizer_class;
}

it('the class LlamaTokenizer is not used for models for which transformers uses another one', () => {
  expect(classOf('llama', 'LlamaTokenizer')).toBe('LlamaTokenizer');
  expect(classOf('llama', 'LlamaTokenizerFast')).toBe('LlamaTokenizerFast');
  expect(classOf('mistral', 'LlamaTokenizer')).toBe('PreTrainedTokenizerFast');
  expect(classOf('phi3', 'LlamaTokenizerFast')).toBe('PreTrainedTokenizerFast');
  expect(classOf('qwen2', 'LlamaTokenizerFast')).toBe('Qwen2Tokenizer');
  expect(classOf('qwen2', 'Qwen2Tokenizer')).toBe('Qwen2Tokenizer');
});
