import { f32View, hostData } from '@qdylora/contract';
import { attachDyLora, rowSpace, type Adapted, type UpdateRule } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyBatch, tinyExamples, tinyModel, type TinyModel } from '../../test/tiny-model.ts';
import { expectDirections } from '../../test/expect-directions.ts';
import { accumulateGradients, clearGradients, startFromGradients } from '../index.ts';

const HIDDEN = 8;
const attached = (ranks: readonly number[], updateRule: UpdateRule = 'prefix'): Adapted<TinyModel> =>
  attachDyLora(tinyModel(undefined, 3, HIDDEN), { ranks, targetModules: ['linear'], seed: 5, updateRule });

const numbers = (view: Parameters<typeof hostData>[0]): Float32Array =>
  Float32Array.from(hostData(view) as Float32Array);

/**
 * The gradient of each weight, [in, out], by an adapter as wide as the layer: with A = 1 and B = 0,
 * ∂L/∂B = s·Gᵀ.
 */
async function fullGradients(batch: ReturnType<typeof tinyBatch>): Promise<Float32Array[]> {
  const adapted = attached([HIDDEN]);
  for (const { a } of adapted.layers)
    (hostData(a.view) as Float32Array).forEach((_, i, values) => {
      values[i] = i % (HIDDEN + 1) === 0 ? 1 : 0;
    });
  clearGradients(adapted.model, adapted.parameters());
  await accumulateGradients(
    [{ view: adapted.atRank(HIDDEN), batch }],
    1 / batch.predictedTokens,
    f32View([1]),
  );
  return adapted.layers.map(({ b }) => numbers(b.gradient!));
}

const transposed = (matrix: Float32Array): Float32Array =>
  matrix.map((_, i) => matrix[(i % HIDDEN) * HIDDEN + Math.floor(i / HIDDEN)]);

describe('the gradient start', () => {
  it('has the right singular vectors of the gradient in its rows, in falling order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 4, max: 9 }), fc.nat(100), async (count, seed) => {
        const batch = tinyBatch(count, seed);
        const adapted = attached([1, 2, HIDDEN]);
        await startFromGradients(adapted, [batch], { seed });
        const gradients = await fullGradients(batch);
        adapted.layers.forEach((layer, index) => {
          const { values, vectors } = rowSpace(transposed(gradients[index]), HIDDEN, HIDDEN);
          expectDirections(numbers(layer.a.view), { values: [...values], vectors }, layer.name);
        });
      }),
      { numRuns: 10 },
    );
  });

  it('orders all rows, also where steps train only the newest block of them', async () => {
    const rowsUnder = async (updateRule: UpdateRule): Promise<Float32Array[]> => {
      const adapted = attached([1, 2, 4], updateRule);
      await startFromGradients(adapted, [tinyBatch(6, 2)], { seed: 9 });
      return adapted.layers.map(({ a }) => numbers(a.view));
    };
    expect(await rowsUnder('newest_block')).toEqual(await rowsUnder('prefix'));
  });

  it('computes the base model at every rank, has rows of one norm, and the same bits each time', async () => {
    const batch = tinyBatch(6, 2);
    const start = async (rowNorm?: number): Promise<Adapted<TinyModel>> => {
      const adapted = attached([1, 4]);
      await startFromGradients(adapted, [batch], { seed: 9, rowNorm });
      return adapted;
    };
    const adapted = await start(2);
    const again = await start(2);
    adapted.layers.forEach((layer, i) => {
      const rows = numbers(layer.a.view);
      expect(rows).toEqual(numbers(again.layers[i].a.view));
      expect(numbers(layer.b.view).every((value) => value === 0)).toBe(true);
      for (let k = 0; k < 4; k++)
        expect(Math.hypot(...rows.subarray(k * HIDDEN, (k + 1) * HIDDEN))).toBeCloseTo(2, 5);
      expect(layer.a.needsGradient).toBe(false);
    });
  });

  it('keeps random rows where the gradient has fewer directions than the adapter has rows', async () => {
    const example = tinyExamples(1, 4)[0];
    const batch = tinyBatch(1, 4);
    const adapted = attached([1, HIDDEN]);
    await startFromGradients(adapted, [batch], {});
    expect(example.ids.length).toBeLessThan(HIDDEN); // each token adds one direction at most
    for (const { a } of adapted.layers) {
      const rows = numbers(a.view);
      expect(rows.every(Number.isFinite)).toBe(true);
      for (let k = 0; k < HIDDEN; k++)
        expect(Math.hypot(...rows.subarray(k * HIDDEN, (k + 1) * HIDDEN))).toBeGreaterThan(0.05);
    }
  });

  it('refuses rows without a counted token', async () => {
    const batch = tinyBatch(2, 1);
    await expect(startFromGradients(attached([1]), [{ ...batch, predictedTokens: 0 }])).rejects.toThrow(
      /at least one counted token/,
    );
  });
});
