import { readFileSync } from 'node:fs';
import { createHostBackend } from '@qdylora/contract';
import { inferenceContext } from '@qdylora/tensor';
import { expect, it } from 'vitest';
import { initializeModel, oneSequence } from '../index.ts';

const config = JSON.parse(
  readFileSync(new URL('../../fixtures/llama-gqa/config.json', import.meta.url), 'utf8'),
) as object;

/** Bytes that a pass over 32 tokens needs at its peak. */
function peakBytesOf(layers: number): number {
  const backend = createHostBackend();
  const model = initializeModel({ ...config, num_hidden_layers: layers }, { backend });
  const { memory } = backend;
  const { liveBytes } = memory.usage();
  memory.resetPeak();
  memory.scoped(() => model.hidden(inferenceContext(backend), oneSequence(new Int32Array(32).fill(7))));
  return memory.usage().peakBytes - liveBytes;
}

it('a pass without a tape needs as much memory for 9 layers as for 3', () => {
  expect(peakBytesOf(9)).toBe(peakBytesOf(3));
});
