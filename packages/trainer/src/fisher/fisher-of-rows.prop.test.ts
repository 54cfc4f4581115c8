import { createRng, f32View, hostData, QdyloraError } from '@qdylora/contract';
import { collate } from '@qdylora/data';
import { attachDyLora, type Adapted, type UpdateRule } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyExamples, tinyModel, type TinyModel } from '../../test/tiny-model.ts';
import { accumulateGradients, clearGradients, fisherOfRows } from '../index.ts';

const RANK = 4;

/** A tiny model whose adapter has random rows in B too. */
function randomAdapter(seed: number, updateRule: UpdateRule = 'prefix'): Adapted<TinyModel> {
  const targetModules = ['linear'];
  const adapted = attachDyLora(tinyModel(), { ranks: [1, 2, RANK], targetModules, seed, updateRule });
  const rng = createRng(seed);
  for (const { name, b } of adapted.layers)
    (hostData(b.view) as Float32Array).forEach((_, i, values) => {
      values[i] = 0.3 * rng.named(name).normal(i);
    });
  return adapted;
}

type Batch = ReturnType<typeof collate>;

async function lossOf(adapted: Adapted<TinyModel>, batch: Batch): Promise<number> {
  const loss = f32View([1]);
  clearGradients(adapted.model, adapted.parameters());
  await accumulateGradients([{ view: adapted.atRank(RANK), batch }], 1, loss);
  return hostData(loss)[0];
}

/** The derivative of a loss by a factor on a row of B, as a difference. */
async function differenceAt(
  adapted: Adapted<TinyModel>,
  batch: Batch,
  { layer, row }: { readonly layer: number; readonly row: number },
): Promise<number> {
  const { b, outFeatures } = adapted.layers[layer];
  const values = hostData(b.view) as Float32Array;
  const saved = values.slice();
  const step = 0.02;
  const at = async (factor: number): Promise<number> => {
    values.forEach((_, i) => {
      values[i] = saved[i] * (Math.floor(i / outFeatures) === row ? factor : 1);
    });
    return lossOf(adapted, batch);
  };
  const slope = async (width: number): Promise<number> =>
    ((await at(1 + width)) - (await at(1 - width))) / (2 * width);
  const difference = (4 * (await slope(step)) - (await slope(2 * step))) / 3; // without the error of width²
  values.set(saved);
  return difference;
}

describe('the Fisher information of rows', () => {
  it('is that of all rows, also where steps train only the newest block of them', async () => {
    const batches = tinyExamples(3, 1).map((example) => collate([example]));
    const [ofAll, ofNewest] = [randomAdapter(1), randomAdapter(1, 'newest_block')];
    expect(await fisherOfRows(ofNewest, batches)).toEqual(await fisherOfRows(ofAll, batches));
  });

  it('is the sum over examples of products of derivatives, and changes no weight', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.nat(RANK - 1), fc.nat(RANK - 1), async (seed, i, j) => {
        const adapted = randomAdapter(seed);
        const batches = tinyExamples(3, seed).map((example) => collate([example]));
        const before = await adapted.state();
        const fisher = await fisherOfRows(adapted, batches);
        expect(await adapted.state()).toEqual(before);
        expect(adapted.parameters().some(({ needsGradient }) => needsGradient)).toBe(false);
        for (const [layer, { name }] of adapted.layers.entries()) {
          let expected = 0;
          let size = 0;
          for (const batch of batches) {
            const left = await differenceAt(adapted, batch, { layer, row: i });
            const right = await differenceAt(adapted, batch, { layer, row: j });
            expected += left * right;
            size += (1 + Math.abs(left) + Math.abs(right)) ** 2;
          }
          const value = fisher.get(name)![i * RANK + j];
          expect(Math.abs(value - expected)).toBeLessThanOrEqual(2e-4 * size);
        }
      }),
      { numRuns: 10, examples: [[454, 1, 1]] },
    );
  });

  it('is refused where a gradient is not finite', async () => {
    const adapted = randomAdapter(1);
    hostData(adapted.layers[1].b.view)[0] = NaN;
    const failure: unknown = await fisherOfRows(adapted, [collate(tinyExamples(1, 1))]).catch(
      (error: unknown) => error,
    );
    expect(QdyloraError.isInstance(failure) && failure.code).toBe('NON_FINITE');
    expect(adapted.parameters().some(({ needsGradient }) => needsGradient)).toBe(false);
  });
});
