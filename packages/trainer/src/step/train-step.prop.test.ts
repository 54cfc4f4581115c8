import { createRng, hostData } from '@qdylora/contract';
import { collate, splitIntoMicroBatches } from '@qdylora/data';
import { rankSampler } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numbersOf, tinyAdapted, tinyBatch, tinyExamples, tinyModel } from '../../test/tiny-model.ts';
import { adamw, passesOfStep, runStep, sgd, trainStep } from '../index.ts';

describe('recompute', () => {
  it('changes no bit of three steps, with dropout and accumulation', async () => {
    const results = [];
    for (const recompute of [false, true]) {
      const adapted = tinyAdapted({ dropout: 0.3 });
      const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2 });
      for (let step = 0; step < 3; step++)
        await trainStep(adapted.atRank(4), splitIntoMicroBatches(tinyExamples(4, step), 2), optimizer, {
          recompute,
          dropout: { rng: createRng(2), step },
        });
      results.push(numbersOf(adapted.parameters()));
    }
    expect(results[1]).toEqual(results[0]);
  });
});

describe('dropout', () => {
  const after = async (step: number, batches: readonly ReturnType<typeof tinyBatch>[]): Promise<number> => {
    const adapted = tinyAdapted({ dropout: 0.5 });
    return (
      await trainStep(adapted.atRank(4), batches, adamw(adapted.parameters(), { learningRate: 0 }), {
        dropout: { rng: createRng(2), step },
      })
    ).loss;
  };

  it('draws other masks at another step, and the same ones at the same', async () => {
    expect(await after(1, [tinyBatch()])).toBe(await after(1, [tinyBatch()]));
    expect(await after(1, [tinyBatch()])).not.toBe(await after(2, [tinyBatch()]));
  });

  it('draws other masks for the second micro batch of a step', async () => {
    const twice = await after(1, [tinyBatch(), tinyBatch()]);
    const once = await after(1, [tinyBatch()]);
    // with equal masks the mean over both would be the loss of one
    expect(Math.abs(twice - once)).toBeGreaterThan(1e-4);
  });
});

describe('newest_block', () => {
  it(
    'trains the rows of the drawn block only: all other weights and moments stay bit for bit, under ' +
      'weight decay',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.nat(1000), fc.integer({ min: 1, max: 3 }), async (seed, earlier) => {
          const adapted = tinyAdapted({ updateRule: 'newest_block' });
          const sampler = rankSampler(adapted.ranks, { seed });
          const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2, weightDecay: 0.1 });
          const stepAt = (step: number) => {
            const { passes, rows } = passesOfStep(step, [tinyBatch(3, step)], { model: adapted, sampler });
            return runStep(passes, optimizer, { rows });
          };
          const snapshot = async () => [
            ...numbersOf(adapted.parameters()),
            ...(await Promise.all(
              [...optimizer.state().arrays.values()].map((array) => array.read() as Promise<Float32Array>),
            )),
          ];
          for (let step = 0; step < earlier; step++) await stepAt(step);
          const before = await snapshot();
          const rank = sampler.rankAt(earlier);
          const from = adapted.ranks.blockStart(rank);
          await stepAt(earlier);
          (await snapshot()).forEach((array, a) => {
            const width = array.length / adapted.ranks.maxRank;
            for (let row = 0; row < adapted.ranks.maxRank; row++) {
              const slice = (numbers: Float32Array) => numbers.subarray(row * width, (row + 1) * width);
              if (row < from || row >= rank) expect(slice(array)).toEqual(slice(before[a]));
              else expect(slice(array), 'a trained row').not.toEqual(slice(before[a]));
            }
          });
        }),
        { numRuns: 12 },
      );
    },
  );

  it('keeps the rows of other ranks also if `rows` is undefined', async () => {
    const after = async (options?: { rows: undefined }): Promise<Float32Array[]> => {
      const adapted = tinyAdapted({ updateRule: 'newest_block' });
      const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2, weightDecay: 0.1 });
      await trainStep(adapted.atRank(2), tinyBatch(), optimizer, options);
      return numbersOf(adapted.parameters());
    };
    expect(await after({ rows: undefined })).toEqual(await after());
  });

  it('counts the updates of each block by itself', async () => {
    const adapted = tinyAdapted({ updateRule: 'newest_block' });
    const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2 });
    for (const rank of [4, 4, 1, 4, 2]) await trainStep(adapted.atRank(rank), tinyBatch(), optimizer);
    expect(optimizer.state().counts.rows).toEqual([1, 1, 3, 3]);
  });
});

describe('a step', () => {
  it('leaves weights and moments as they are where the loss is infinite, and says so', async () => {
    const adapted = tinyAdapted();
    const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2, weightDecay: 0.1 });
    await trainStep(adapted.atRank(4), tinyBatch(), optimizer);
    hostData(adapted.layers[0].a.view)[0] = 3e38;
    hostData(adapted.layers[0].b.view).fill(3e38);
    const before = numbersOf(adapted.parameters());
    const outcome = await trainStep(adapted.atRank(4), tinyBatch(), optimizer);
    expect(outcome.status).toBe('non_finite');
    expect(numbersOf(adapted.parameters())).toEqual(before);
    expect(optimizer.state().counts.rows).toEqual([1, 1, 1, 1]);
  });

  it('without a token to learn from has loss 0 and changes nothing', async () => {
    const adapted = tinyAdapted();
    const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2, weightDecay: 0.1 });
    const before = numbersOf(adapted.parameters());
    const batch = collate([{ ids: Int32Array.of(1, 2, 3), labels: Int32Array.of(1, -100, -100) }]);
    expect(await trainStep(adapted.atRank(4), batch, optimizer)).toMatchObject({
      status: 'no_tokens',
      loss: 0,
      gradNorm: 0,
      predictedTokens: 0,
    });
    expect(numbersOf(adapted.parameters())).toEqual(before);
  });

  it('clips to the asked norm: with sgd the weights move by exactly learning rate × norm', async () => {
    const adapted = tinyAdapted();
    const before = numbersOf(adapted.parameters());
    const { gradNorm } = await trainStep(
      adapted.atRank(4),
      tinyBatch(),
      sgd(adapted.parameters(), { learningRate: 0.5 }),
      { maxGradNorm: 1e-2 },
    );
    const moved = Math.sqrt(
      numbersOf(adapted.parameters()).reduce(
        (sum, array, p) => sum + array.reduce((s, value, i) => s + (value - before[p][i]) ** 2, 0),
        0,
      ),
    );
    expect(gradNorm).toBeGreaterThan(1e-2);
    expect(moved).toBeCloseTo(0.5 * 1e-2, 6);
  });

  it('returns all memory but gradients and states: live bytes are the same after every step', async () => {
    const adapted = tinyAdapted({ dropout: 0.2 });
    const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2 });
    const live = [];
    for (let step = 0; step < 5; step++) {
      await trainStep(adapted.atRank(2), [tinyBatch(4, 1), tinyBatch(4, 1)], optimizer, {
        recompute: step % 2 === 1,
        dropout: { rng: createRng(1), step },
      });
      live.push(adapted.model.backend.memory.usage().liveBytes);
    }
    expect(new Set(live).size).toBe(1);
  });

  it('trains all dense weights of a bare model', async () => {
    const model = tinyModel();
    const optimizer = adamw(model.parameters(), { learningRate: 1e-2 });
    const before = numbersOf(model.parameters());
    await trainStep({ model, active: null }, tinyBatch(), optimizer);
    numbersOf(model.parameters()).forEach((array, i) => {
      expect(array, model.parameters()[i].name).not.toEqual(before[i]);
    });
  });
});
