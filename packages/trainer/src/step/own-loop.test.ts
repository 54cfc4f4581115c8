import { f32View } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { numbersOf, tinyAdapted, tinyBatch } from '../../test/tiny-model.ts';
import {
  accumulateGradients,
  adamw,
  clearGradients,
  clipCoefficient,
  gradientNorm,
  trainStep,
} from '../index.ts';

describe('a loop out of its parts', () => {
  const weightsAfter = async (prepared: 'optimizer' | 'parameters'): Promise<Float32Array[]> => {
    const adapted = tinyAdapted();
    const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2 });
    const batch = tinyBatch();
    for (let step = 0; step < 2; step++) {
      clearGradients(adapted.model, prepared === 'optimizer' ? optimizer : optimizer.parameters);
      const passes = [{ view: adapted.atRank(4), batch }];
      await accumulateGradients(passes, 1 / batch.predictedTokens, f32View([1]));
      const norm = await gradientNorm(adapted.model.backend, optimizer);
      optimizer.step({ learningRate: 1e-2, gradientScale: clipCoefficient(norm, 1), rows: null });
    }
    return numbersOf(adapted.parameters());
  };

  it('has the bits of trainStep, without a call of prepare', async () => {
    const adapted = tinyAdapted();
    const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2 });
    for (let step = 0; step < 2; step++)
      await trainStep(adapted.atRank(4), tinyBatch(), optimizer, { rows: null });
    expect(await weightsAfter('optimizer')).toEqual(numbersOf(adapted.parameters()));
  });

  it('that clears parameters before anything is prepared sums the norm in another order only', async () => {
    const expected = await weightsAfter('optimizer');
    (await weightsAfter('parameters')).forEach((weights, p) =>
      weights.forEach((weight, i) => {
        expect(weight).toBeCloseTo(expected[p][i], 6);
      }),
    );
  });
});
