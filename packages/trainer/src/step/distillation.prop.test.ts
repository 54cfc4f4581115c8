import { createHostBackend, f32View, hostData } from '@qdylora/contract';
import { collate, type TokenBatch } from '@qdylora/data';
import { rankSampler, type Distillation, type RankSamplerOptions } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numbersOf, tinyAdapted, tinyBatch, tinyExamples, tinyModel } from '../../test/tiny-model.ts';
import { accumulateGradients, clearGradients, passesOfStep, runStep, sgd, type Pass } from '../index.ts';

type TinyAdapted = ReturnType<typeof tinyAdapted>;

const HALF: Distillation = { weight: 0.5, topK: 4, student: 'drawn' };
const samplerOf = ({ ranks }: TinyAdapted, options: Partial<RankSamplerOptions> = {}) =>
  rankSampler(ranks, { seed: 1, schedule: 'sandwich', distillation: HALF, ...options });

/** Gradients of the passes: of A and B of each layer. */
async function gradientsAfter(adapted: TinyAdapted, passes: readonly Pass[]): Promise<Float32Array[]> {
  clearGradients(adapted.model, adapted.parameters());
  await accumulateGradients(passes, 1, f32View([passes.length]));
  return adapted.parameters().map(({ gradient }) => hostData(gradient!).slice());
}

const sumOf = (...terms: readonly Float32Array[][]): number[][] =>
  terms[0].map((first, p) => Array.from(first, (_, i) => terms.reduce((sum, each) => sum + each[p][i], 0)));

function expectClose(got: readonly ArrayLike<number>[], want: readonly ArrayLike<number>[]): void {
  const largest = Math.max(...want.flatMap((each) => Array.from(each, Math.abs)));
  got.forEach((each, p) =>
    Array.from(each).forEach((value, i) => {
      expect(Math.abs(value - want[p][i])).toBeLessThanOrEqual(1e-5 * largest);
    }),
  );
}

/** Some micro batches, as numbers of examples, and a step. */
const stepsOf = (fewestBatches: number) =>
  [
    fc.array(fc.integer({ min: 1, max: 5 }), { minLength: fewestBatches, maxLength: 5 }),
    fc.nat(200),
  ] as const;

/** What is planned for such a step, and the rank that is drawn in it. */
function planOf(sizes: readonly number[], step: number, distillation: Distillation) {
  const adapted = tinyAdapted();
  const batches = sizes.map((size) => collate(tinyExamples(size)));
  const sampler = samplerOf(adapted, { distillation });
  return {
    batches,
    drawn: sampler.rankAt(step),
    ...passesOfStep(step, batches, { model: adapted, sampler }),
  };
}

describe('a step whose drawn rank distils', () => {
  it('runs each micro batch at the largest rank, then at the drawn one, whatever was drawn', () => {
    fc.assert(
      fc.property(...stepsOf(1), (sizes, step) => {
        const { batches, drawn, passes, rank, ranks } = planOf(sizes, step, HALF);
        expect(passes.map(({ view, batch }) => [view.active!.rank, batch])).toEqual(
          batches.flatMap((batch) => [
            [4, batch],
            [drawn, batch],
          ]),
        );
        expect(passes.map(({ distillation }) => distillation!.role)).toEqual(
          batches.flatMap(() => ['teacher', 'student']),
        );
        expect(rank).toBe(drawn);
        expect(ranks).toEqual(drawn === 4 ? [4] : [4, drawn]);
      }),
    );
  });

  it('adds no gradient to the largest rank but that of its own pass', async () => {
    const adapted = tinyAdapted({ updateRule: 'newest_block' });
    const batch = tinyBatch();
    const step = stepOf(adapted, 1);
    const { passes } = passesOfStep(step, [batch], { model: adapted, sampler: samplerOf(adapted) });
    const pair = await gradientsAfter(adapted, passes);
    const teacher = await gradientsAfter(adapted, [{ view: adapted.atRank(4), batch }]);
    // under newest_block the drawn rank 1 trains row 0 alone, and rank 4 the rows 2 and 3
    pair.forEach((gradient, p) => {
      const width = gradient.length / 4;
      expect(gradient.subarray(2 * width)).toEqual(teacher[p].subarray(2 * width));
    });
  });

  it('has the gradient of its teacher, and a mixture of cross-entropy and divergence', async () => {
    const adapted = tinyAdapted();
    const batch = tinyBatch();
    const step = stepOf(adapted, 2);
    const ofWeight = async (weight: number) =>
      gradientsAfter(
        adapted,
        passesOfStep(step, [batch], {
          model: adapted,
          sampler: samplerOf(adapted, { distillation: { ...HALF, weight } }),
        }).passes,
      );
    const teacher = await gradientsAfter(adapted, [{ view: adapted.atRank(4), batch }]);
    const crossEntropy = await gradientsAfter(adapted, [{ view: adapted.atRank(2), batch }]);
    const pure = await ofWeight(1);
    const quarter = await ofWeight(0.25);
    // teacher + (1 − λ)·CE + λ·KL, with teacher + KL = pure
    const want = sumOf(
      pure.map((each) => each.map((x) => 0.25 * x)),
      teacher.map((each) => each.map((x) => 0.75 * x)),
      crossEntropy.map((each) => each.map((x) => 0.75 * x)),
    );
    expectClose(quarter, want);
  });

  it('learns nothing from a teacher that predicts the same', async () => {
    const adapted = tinyAdapted();
    const batch = tinyBatch();
    const { passes } = passesOfStep(stepOf(adapted, 4), [batch], {
      model: adapted,
      sampler: samplerOf(adapted, { distillation: { ...HALF, weight: 1, topK: 100 } }),
    });
    const teacher = await gradientsAfter(adapted, [{ view: adapted.atRank(4), batch }]);
    expectClose(await gradientsAfter(adapted, passes), teacher);
  });

  it('weighs each pass by the weight of its rank', async () => {
    const adapted = tinyAdapted();
    const { passes } = passesOfStep(stepOf(adapted, 1), [tinyBatch()], {
      model: adapted,
      sampler: samplerOf(adapted, { lossWeights: [3, 1, 0.5] }),
    });
    expect(passes.map(({ weight }) => weight)).toEqual([0.5, 3]);
  });

  it('holds no memory afterwards', async () => {
    const backend = createHostBackend({ poison: true });
    const adapted = tinyAdapted({}, tinyModel(backend));
    const optimizer = sgd(adapted.parameters(), { learningRate: 0.1 });
    const take = async (step: number) => {
      const batches = [tinyBatch(3), tinyBatch(5)];
      await runStep(
        passesOfStep(step, batches, { model: adapted, sampler: samplerOf(adapted) }).passes,
        optimizer,
      );
      return backend.memory.usage().liveBytes;
    };
    const first = await take(0);
    expect(await take(1)).toBe(first);
  });
});

describe('a step whose smallest rank distils', () => {
  const SMALLEST: Distillation = { weight: 0.5, topK: 4 };

  it('has the passes of the sandwich, and after each of the largest rank one more of the same rows', () => {
    fc.assert(
      fc.property(...stepsOf(2), (sizes, step) => {
        const { batches, drawn, passes, rank } = planOf(sizes, step, SMALLEST);
        expect(
          passes.map(({ view, batch, distillation }) => [view.active!.rank, batch, distillation]),
        ).toEqual(
          batches.flatMap((batch, i): unknown[][] =>
            i % 2 === 1
              ? [[drawn, batch, undefined]]
              : [
                  [4, batch, { role: 'teacher', topK: 4 }],
                  [1, batch, { role: 'student', topK: 4, weight: 0.5 }],
                ],
          ),
        );
        expect(rank).toBe(drawn);
      }),
    );
  });

  it('of one micro batch cuts it in halves, each with passes of its own', () => {
    const adapted = tinyAdapted();
    const batch = tinyBatch(5);
    const sampler = samplerOf(adapted, { distillation: SMALLEST });
    const { passes } = passesOfStep(stepOf(adapted, 2), [batch], { model: adapted, sampler });
    expect(passes.map((pass) => [pass.view.active!.rank, pass.batch.segments.length - 1])).toEqual([
      [4, 2],
      [1, 2],
      [2, 3],
    ]);
    expect(passes[1].batch).toBe(passes[0].batch);
  });

  it('of one example takes turns: largest and smallest rank, then the drawn one', () => {
    const adapted = tinyAdapted();
    const sampler = samplerOf(adapted, { distillation: SMALLEST });
    for (let step = 0; step < 10; step++) {
      const { passes, rank } = passesOfStep(step, [tinyBatch(1)], { model: adapted, sampler });
      const drawn = sampler.rankAt(step);
      const ranks = step % 2 === 0 ? [4, 1] : [drawn];
      expect(passes.map(({ view }) => view.active!.rank)).toEqual(ranks);
      expect(rank).toBe(ranks.includes(drawn) ? drawn : 4);
    }
  });
});

describe('a step whose smallest and drawn ranks distil', () => {
  const BOTH: Distillation = { weight: 0.5, topK: 4, student: 'both' };
  const teacher = { role: 'teacher', topK: 4 };
  const student = { role: 'student', topK: 4, weight: 0.5 };

  it('runs all rows at the largest rank, half once more at the smallest, half at a smaller drawn one', () => {
    fc.assert(
      fc.property(...stepsOf(2), (sizes, step) => {
        const { batches, drawn, passes, rank } = planOf(sizes, step, BOTH);
        expect(
          passes.map(({ view, batch, distillation }) => [view.active!.rank, batch, distillation]),
        ).toEqual(
          batches.flatMap((batch, i): unknown[][] =>
            i % 2 === 1 && drawn === 4
              ? [[4, batch, undefined]]
              : [
                  [4, batch, teacher],
                  [i % 2 === 1 ? drawn : 1, batch, student],
                ],
          ),
        );
        expect(rank).toBe(drawn);
      }),
    );
  });

  it('of one example takes turns: after the largest rank the smallest, then the drawn one', () => {
    const adapted = tinyAdapted();
    const sampler = samplerOf(adapted, { distillation: BOTH });
    for (let step = 0; step < 10; step++) {
      const { passes } = passesOfStep(step, [tinyBatch(1)], { model: adapted, sampler });
      const drawn = sampler.rankAt(step);
      const ranks = step % 2 === 0 ? [4, 1] : drawn === 4 ? [4] : [4, drawn];
      expect(passes.map(({ view }) => view.active!.rank)).toEqual(ranks);
    }
  });
});

/** A step whose drawn rank is `rank`. */
const stepOf = (adapted: TinyAdapted, rank: number): number =>
  Array.from({ length: 100 }, (_, step) => step).find((step) => samplerOf(adapted).rankAt(step) === rank)!;

describe('the loss of a step', () => {
  it('is that of the passes that do not learn from another one, in tokens', async () => {
    const adapted = tinyAdapted();
    const [first, second] = [tinyBatch(3, 1), tinyBatch(5, 2)];
    const lossOf = async (passes: readonly Pass[]) =>
      (await runStep(passes, sgd(adapted.parameters(), { learningRate: 0 }))).loss;
    const teacher: Pass = {
      view: adapted.atRank(4),
      batch: first,
      distillation: { role: 'teacher', topK: 4 },
    };
    const student: Pass = {
      view: adapted.atRank(1),
      batch: first,
      distillation: { role: 'student', topK: 4, weight: 0.5 },
    };
    const drawn: Pass = { view: adapted.atRank(2), batch: second };
    const alone = [await lossOf([{ view: adapted.atRank(4), batch: first }]), await lossOf([drawn])];
    const tokens = [first.predictedTokens, second.predictedTokens];
    const want = (alone[0] * tokens[0] + alone[1] * tokens[1]) / (tokens[0] + tokens[1]);
    expect(Math.abs((await lossOf([teacher, student, drawn])) - want)).toBeLessThan(1e-6 * want);
  });
});

describe('a pass that learns from another one', () => {
  const student = { role: 'student', ...HALF } as const;
  const teacher = { role: 'teacher', topK: HALF.topK } as const;
  const adapted = tinyAdapted();
  const batch = tinyBatch();
  const pass = (distillation: Pass['distillation'], of: TokenBatch = batch): Pass => ({
    view: adapted.atRank(2),
    batch: of,
    distillation,
  });
  const step = (passes: readonly Pass[]) => runStep(passes, sgd(adapted.parameters(), { learningRate: 0 }));

  it.each([
    ['alone', [pass(student)]],
    ['after a pass without predictions', [pass(undefined), pass(student)]],
    ['after a teacher of other rows', [pass(teacher, tinyBatch(3)), pass(student)]],
    ['after a teacher of more classes', [pass({ ...teacher, topK: 5 }), pass(student)]],
  ])('is refused %s', async (_, passes) => {
    await expect(step(passes)).rejects.toThrow(
      'learns from a teacher, but the pass before it is not a teacher of the same batch',
    );
  });

  it('is refused for a model that does not name its vocabulary', async () => {
    const { view } = pass(teacher);
    const silent = { ...view, model: { ...view.model, vocabularySize: undefined } };
    await expect(step([{ ...pass(teacher), view: silent }])).rejects.toThrow(
      'Distillation needs a model that sets `vocabularySize`',
    );
  });

  it('is refused beside a head that is trained', async () => {
    const bare = tinyModel();
    for (const parameter of bare.parameters()) parameter.makeTrainable(bare.backend.memory);
    const passes = [{ ...pass(teacher), view: { model: bare, active: null } }];
    await expect(runStep(passes, sgd(bare.parameters(), { learningRate: 0 }))).rejects.toThrow(
      'Soft targets need a frozen head, but head is trained',
    );
  });

  it('changes nothing where distillation is off', async () => {
    const weightsAfter = async (distillation: Distillation | null | undefined) => {
      const trained = tinyAdapted();
      const optimizer = sgd(trained.parameters(), { learningRate: 0.1 });
      const sampler = rankSampler(trained.ranks, { seed: 1, schedule: 'sandwich', distillation });
      for (let at = 0; at < 3; at++) {
        const { passes, rows } = passesOfStep(at, [tinyBatch(4), tinyBatch(3)], { model: trained, sampler });
        await runStep(passes, optimizer, { rows });
      }
      return numbersOf(trained.parameters());
    };
    expect(await weightsAfter(null)).toEqual(await weightsAfter(undefined));
  });
});
