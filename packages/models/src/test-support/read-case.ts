import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hfConfigOf } from '@qdylora/checkpoint';
import { familyOf } from '../index.ts';

export const FOLDER = fileURLToPath(new URL('../../fixtures/', import.meta.url));
/** The fixture of each family. */
export const CASE_OF: Readonly<Record<string, string>> = {
  llama: 'llama-gqa',
  mistral: 'mistral-window',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
  gemma: 'gemma',
  gemma2: 'gemma2',
  gemma3_text: 'gemma3',
  phi3: 'phi3',
  falcon: 'falcon-40b',
  gpt_neox: 'gpt-neox-parallel',
  gpt2: 'gpt2',
};
/** config.json of a fixture. */
export const configOf = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(`${FOLDER}${name}/config.json`, 'utf8')) as Record<string, unknown>;
/** Reads the config of a family's case with other values; `undefined` takes a key away. */
export const read = (modelType: string, changes: Record<string, unknown> = {}) => {
  const raw = { ...configOf(CASE_OF[modelType]), ...changes };
  return familyOf(modelType, 'test').readConfig(
    hfConfigOf(
      'config.json',
      Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== undefined)),
    ),
  );
};
