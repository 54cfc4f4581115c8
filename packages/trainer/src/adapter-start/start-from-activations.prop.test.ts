import { hostData } from '@qdylora/contract';
import { attachDyLora, rowSpace } from '@qdylora/lora-dynamic';
import { inferenceContext, type LinearLike } from '@qdylora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyBatch, tinyModel, type TinyModel } from '../../test/tiny-model.ts';
import { expectDirections } from '../../test/expect-directions.ts';
import { startFromActivations } from '../index.ts';

const HIDDEN = 8;

/** The inputs of each linear layer in a pass of the base: [tokens, HIDDEN] each. */
function inputsOf(model: TinyModel, batch: ReturnType<typeof tinyBatch>): Map<string, Float32Array> {
  const inputs = new Map<string, Float32Array>();
  const watched = model.withModules((layer): LinearLike => {
    const { name, inFeatures, outFeatures } = layer;
    return {
      name,
      inFeatures,
      outFeatures,
      parameters: () => layer.parameters(),
      forward(ctx, x) {
        inputs.set(name, Float32Array.from(hostData(x.view) as Float32Array));
        return layer.forward(ctx, x);
      },
    };
  });
  watched.loss({ ...inferenceContext(model.backend), active: null }, batch, { lossScale: 1 });
  return inputs;
}

describe('the activation start', () => {
  it('has the right singular vectors of the inputs in its rows, in falling order, and B = 0', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 4, max: 9 }), fc.nat(100), async (count, seed) => {
        const batch = tinyBatch(count, seed);
        const model = tinyModel(undefined, 3, HIDDEN);
        const adapted = attachDyLora(model, { ranks: [1, 2, HIDDEN], targetModules: ['linear'], seed: 5 });
        await startFromActivations(model, adapted, [batch], { seed });
        const inputs = inputsOf(model, batch);
        for (const layer of adapted.layers) {
          const x = inputs.get(layer.name)!;
          const { values, vectors } = rowSpace(x, x.length / HIDDEN, HIDDEN);
          const rows = hostData(layer.a.view) as Float32Array;
          expect((hostData(layer.b.view) as Float32Array).every((value) => value === 0)).toBe(true);
          // squared, as subspace iteration sees them
          const squares = [...values.subarray(0, HIDDEN)].map((value) => value ** 2);
          expectDirections(rows, { values: squares, vectors }, layer.name);
        }
      }),
      { numRuns: 10 },
    );
  });

  it('ends when it is aborted', async () => {
    const model = tinyModel(undefined, 3, HIDDEN);
    const adapted = attachDyLora(model, { ranks: [2], targetModules: ['linear'], seed: 5 });
    const start = startFromActivations(model, adapted, [tinyBatch(2, 1)], { signal: AbortSignal.abort() });
    await expect(start).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
