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
 * True for what a model's folder may have beside config and weights, and a copy of it takes along: `name` as
 * it stands below the folder, with `/`.
 */
export const isCompanionFile = (name: string): boolean => COMPANIONS.has(name) || isTemplateFile(name);
