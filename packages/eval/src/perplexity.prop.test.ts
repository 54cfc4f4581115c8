import { localWorld } from '@qdylora/collectives';
import type { Parameter } from '@qdylora/tensor';
import { hostData } from '@qdylora/contract';
import { collate, countCopies, countPredicted, NOT_COUNTED, type Example } from '@qdylora/data';
import { IGNORED_TARGET, inferenceContext } from '@qdylora/tensor';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { tinyAdapted, tinyExamples, VOCABULARY } from '../test/tiny-model.ts';
import { groupByTokenBudget, lossOver, perplexity, type EvalProgress, type MeasureOptions } from './index.ts';

const hasTokens = (examples: readonly Example[]): boolean =>
  examples.some(({ labels }) => countPredicted(labels) > 0);
const examplesOf = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.nat(1000))
  .map(([count, seed]) => tinyExamples(count, seed))
  .filter((examples) => hasTokens(examples) && countCopies(examples).every((copies) => copies === 1));

it('the losses ignore the label that data does not count', () => {
  expect(IGNORED_TARGET).toBe(NOT_COUNTED);
});

describe('lossOver', () => {
  it('gives each example, in the order given, the sum that the model gives it alone', async () => {
    await fc.assert(
      fc.asyncProperty(examplesOf, fc.integer({ min: 1, max: 30 }), async (examples, tokensPerBatch) => {
        const view = tinyAdapted().atRank(2);
        const { perExample } = await lossOver(view, examples, { tokensPerBatch });
        examples.forEach((example, i) => {
          const { tokenLosses } = view.model.loss(
            { ...inferenceContext(view.model.backend), active: view.active },
            collate([example]),
            { lossScale: 1 },
          );
          // the same tokens in the same order: the same bits
          expect(perExample.sums[i]).toBe(hostData(tokenLosses).reduce((sum, loss) => sum + loss, 0));
          expect(perExample.counts[i]).toBe(countPredicted(example.labels));
        });
      }),
      { numRuns: 30 },
    );
  });

  it('is Σ losses / Σ counted tokens, whatever the batches', async () => {
    await fc.assert(
      fc.asyncProperty(examplesOf, fc.integer({ min: 1, max: 30 }), async (examples, tokensPerBatch) => {
        const view = tinyAdapted().atRank(4);
        const {
          loss,
          tokens,
          perplexity: power,
          perExample: { sums, counts },
        } = await lossOver(view, examples, { tokensPerBatch });
        expect(tokens).toBe(counts.reduce((a, b) => a + b));
        expect(loss).toBe(sums.reduce((a, b) => a + b) / tokens);
        expect(power).toBe(Math.exp(loss));
        expect(loss).toBe((await lossOver(view, examples)).loss);
      }),
      { numRuns: 20 },
    );
  });

  it('of a uniform model is ln of the vocabulary, with no error', async () => {
    const adapted = tinyAdapted();
    hostData((adapted.model.modules.head.weight as Parameter).view).fill(0);
    const { loss, perplexity: power, standardError } = await lossOver(adapted.base(), tinyExamples(10));
    expect(loss).toBeCloseTo(Math.log(VOCABULARY), 6);
    expect(power).toBeCloseTo(VOCABULARY, 4);
    expect(standardError).toBeLessThan(1e-6);
  });

  it('gives back all memory, and leaves no gradient', async () => {
    const adapted = tinyAdapted();
    const { memory } = adapted.model.backend;
    const before = memory.usage().liveBytes;
    await lossOver(adapted.atRank(4), tinyExamples(10), { tokensPerBatch: 8 });
    expect(memory.usage().liveBytes).toBe(before);
    expect(adapted.parameters().every(({ gradient }) => gradient === null)).toBe(true);
  });

  it('counts an example without counted tokens as nothing, and never runs it', async () => {
    const empty: Example = { ids: Int32Array.of(1, 2), labels: Int32Array.of(-100, -100) };
    const view = tinyAdapted().atRank(1);
    const examples = tinyExamples(6);
    const alone = await lossOver(view, examples);
    const { loss, standardError, perExample } = await lossOver(view, [empty, ...examples]);
    expect([loss, standardError, perExample.counts[0]]).toEqual([alone.loss, alone.standardError, 0]);
  });

  it('has the same loss and error if all examples occur several times, and runs none twice', async () => {
    await fc.assert(
      fc.asyncProperty(examplesOf, fc.integer({ min: 2, max: 4 }), async (examples, times) => {
        const view = tinyAdapted().atRank(2);
        const passes: number[] = [];
        const options = { tokensPerBatch: 1, onProgress: ({ done }: EvalProgress) => passes.push(done) };
        const once = await lossOver(view, examples);
        const repeated = await lossOver(
          view,
          Array<Example[]>(times)
            .fill([...examples])
            .flat(),
          options,
        );
        expect(repeated.loss).toBeCloseTo(once.loss, 12);
        if (Number.isNaN(once.standardError)) expect(repeated.standardError).toBeNaN();
        else expect(repeated.standardError).toBeCloseTo(once.standardError, 12);
        expect(repeated.tokens).toBe(times * once.tokens);
        expect(passes.length).toBe(examples.filter(({ labels }) => countPredicted(labels) > 0).length);
      }),
      { numRuns: 20 },
    );
  });

  it('has the same bits on any number of workers, which share the passes', async () => {
    const sizes = fc.integer({ min: 1, max: 4 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 4, max: 40 }), async (size, budget) => {
        const examples = tinyExamples(12);
        const measure = (options: MeasureOptions) => {
          const adapted = tinyAdapted();
          const views = [adapted.atRank(1), adapted.atRank(4), adapted.base()];
          return perplexity(examples, { tokensPerBatch: budget }).measure(views, options);
        };
        const alone = await measure({});
        const passes = Array.from({ length: size }, () => 0);
        const shared = await Promise.all(
          localWorld(size).map((workers) =>
            measure({ workers, onProgress: ({ done }) => (passes[workers.rank] = done) }),
          ),
        );
        for (const results of shared) expect(results).toEqual(alone);
        expect(Math.max(...passes) - Math.min(...passes)).toBeLessThanOrEqual(3); // one group, three views
      }),
      { numRuns: 10 },
    );
  });

  it('has no standard error for a single example', async () => {
    expect(
      (await lossOver(tinyAdapted().atRank(1), [{ ids: Int32Array.of(1, 2), labels: Int32Array.of(1, 2) }]))
        .standardError,
    ).toBeNaN();
  });

  it.each([[[]], [[{ ids: Int32Array.of(1), labels: Int32Array.of(1) }]]])(
    'refuses examples without a token to predict',
    async (examples) => {
      await expect(lossOver(tinyAdapted().atRank(1), examples)).rejects.toMatchObject({ code: 'BAD_DATA' });
    },
  );

  it.each([0, 1.5, NaN])('refuses %s tokens a batch', (tokensPerBatch) => {
    expect(() => perplexity(tinyExamples(3), { tokensPerBatch })).toThrow(
      `\`tokensPerBatch\` must be a whole number ≥ 1 (got ${tokensPerBatch})`,
    );
  });

  it('stops between two passes when the signal fires', async () => {
    const controller = new AbortController();
    const passes: number[] = [];
    const onProgress = ({ done }: EvalProgress): void => {
      passes.push(done);
      if (done === 2) controller.abort('enough');
    };
    await expect(
      lossOver(tinyAdapted().atRank(1), tinyExamples(12), {
        tokensPerBatch: 4,
        signal: controller.signal,
        onProgress,
      }),
    ).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' });
    expect(passes).toEqual([1, 2]);
  });

  it('releases the losses of a pass that cannot be read', async () => {
    const view = tinyAdapted().atRank(1);
    const { memory } = view.model.backend;
    const read = vi.spyOn(memory, 'read').mockRejectedValue(new Error('device lost'));
    const { liveBytes } = memory.usage();
    await expect(lossOver(view, tinyExamples(3))).rejects.toThrow('device lost');
    expect(memory.usage().liveBytes).toBe(liveBytes);
    read.mockRestore();
  });

  it('reports every pass of every view, and the seconds left in proportion to the tokens left', async () => {
    const adapted = tinyAdapted();
    const examples = [6, 3, 3].map((length, i) => ({
      ids: new Int32Array(length).fill(i),
      labels: new Int32Array(length),
    }));
    let seconds = 100;
    const reports: EvalProgress[] = [];
    await perplexity(examples, { tokensPerBatch: 6 }).measure([adapted.atRank(1), adapted.base()], {
      clock: () => seconds,
      onProgress: (progress) => {
        reports.push(progress);
        seconds += 5;
      },
    });
    // Four passes of six tokens. The clock stands at 100, 105, 110 and 115 when they end.
    expect(reports).toEqual([
      { done: 1, total: 4, secondsLeft: 0 },
      { done: 2, total: 4, secondsLeft: 5 },
      { done: 3, total: 4, secondsLeft: 10 / 3 },
      { done: 4, total: 4, secondsLeft: 0 },
    ]);
  });
});

describe('groupByTokenBudget', () => {
  it('puts every index into one group, keeps the budget, and the longest first', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 20 })),
        fc.integer({ min: 1, max: 40 }),
        (lengths, budget) => {
          const groups = groupByTokenBudget(lengths, budget);
          expect(groups.flat().sort((a, b) => a - b)).toEqual([...lengths.keys()]);
          for (const group of groups)
            expect(group.length === 1 || group.reduce((sum, i) => sum + lengths[i], 0) <= budget).toBe(true);
          const order = groups.flat().map((i) => lengths[i]);
          order.forEach((length, at) => {
            if (at > 0) expect(length).toBeLessThanOrEqual(order[at - 1]);
          });
        },
      ),
    );
  });
});
