import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { inspectCheckpoint } from './inspect-checkpoint.ts';

const MODELS = fileURLToPath(new URL('../../../models/fixtures/', import.meta.url));

it.each([
  ['gpt2', 2, 32], // n_layer, n_embd
  ['falcon-7b', 2, 32],
  ['llama-gqa', 2, 32],
])('%s has its layers and its width, whatever its config calls them', async (name, layers, hiddenSize) => {
  expect(await inspectCheckpoint(`${MODELS}${name}`)).toMatchObject({ layers, hiddenSize });
});
