import { isTemplateFile } from './folder-templates.ts';

const COMPANIONS: ReadonlySet<string> = new Set([
  'generation_config.json',
  'tokenizer.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
]);

/**
 * True for files that accompany config and weights in a model folder and belong to a copy of it. `name` is
 * relative to the folder, with `/`.
 */
export const isCompanionFile = (name: string): boolean => COMPANIONS.has(name) || isTemplateFile(name);
