import { createHostBackend, hostData } from '@qdylora/contract';
import { inferenceContext } from '@qdylora/tensor';
import { describe, expect, it } from 'vitest';
import { initializeModel } from '../builders/initialize-model.ts';

const VOCABULARY = 16;
const CONFIG = {
  model_type: 'llama',
  vocab_size: VOCABULARY,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  initializer_range: 0.5,
};
/** Two sequences; the second has a gap between its targets, and the third has none. */
const INPUTS = {
  ids: Int32Array.of(1, 5, 3, 2, 2, 9, 4, 7),
  positions: Int32Array.of(0, 1, 2, 0, 1, 2, 3, 0),
  targets: Int32Array.of(-100, 3, 8, 2, -100, 4, -100, -100),
  segments: Int32Array.of(0, 3, 7, 8),
};

describe('scoreTargets', () => {
  it('gives the losses of `loss`, and the greatest logit of each counted row', async () => {
    const backend = createHostBackend({ poison: true });
    const model = initializeModel(CONFIG, { backend, seed: 3 });
    const ctx = { ...inferenceContext(backend), active: null };
    const { tokenLosses, likeliest } = await model.scoreTargets(ctx, INPUTS);
    const expected = model.loss(ctx, INPUTS, { lossScale: 1 });
    expect([...tokenLosses]).toEqual([...hostData(expected.tokenLosses)]);
    const logits = hostData(model.logits(ctx, INPUTS).view);
    const greatest = (row: number): number => {
      const values = logits.subarray(row * VOCABULARY, (row + 1) * VOCABULARY);
      return values.indexOf(Math.max(...values));
    };
    const isBetweenTargets = (row: number): boolean => row === 4;
    INPUTS.targets.forEach((target, row) => {
      const isScored = target >= 0 || isBetweenTargets(row);
      expect(likeliest[row], `row ${row}`).toBe(isScored ? greatest(row) : -1);
    });
  });

  it('keeps nothing in memory', async () => {
    const backend = createHostBackend();
    const model = initializeModel(CONFIG, { backend, seed: 3 });
    const ctx = { ...inferenceContext(backend), active: null };
    await model.scoreTargets(ctx, INPUTS);
    const { liveBytes } = backend.memory.usage();
    await model.scoreTargets(ctx, INPUTS);
    expect(backend.memory.usage().liveBytes).toBe(liveBytes);
  });
});
