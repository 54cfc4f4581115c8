import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostData, createRng, type QdyloraError } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { numbersOf, tinyBatches, tinyModel } from '../test/tiny-model.ts';
import { temporaryFolder } from '@qdylora/testing/node';
import { eventsOf, tinyOptions, tinyTrain } from '../test/tiny-run.ts';
import { adamw, train, trainStep, type TrainEvent, type TrainRun } from './index.ts';

type Of<T extends TrainEvent['type']> = Extract<TrainEvent, { type: T }>;
const only = <T extends TrainEvent['type']>(events: readonly TrainEvent[], type: T): Of<T>[] =>
  events.filter((event): event is Of<T> => event.type === type);
const failureOf = (run: TrainRun): Promise<QdyloraError> =>
  run.result.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => error as QdyloraError,
  );
const checkpointsIn = (folder: string): string[] => readdirSync(join(folder, 'checkpoints')).sort();

describe('a run', () => {
  it('lowers the loss', async () => {
    const losses = only(
      await eventsOf(tinyTrain({ totalSteps: 60, rankSchedule: 'all', adapter: {} })),
      'step',
    ).map(({ loss }) => loss);
    const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
    expect(mean(losses.slice(-12))).toBeLessThan(0.85 * mean(losses.slice(0, 12)));
  });

  it('tells the plan first, then every step from 1 on, then done', async () => {
    const events = await eventsOf(tinyTrain({ totalSteps: 3 }));
    expect(events.map(({ type }) => type)).toEqual(['plan', 'step', 'step', 'step', 'done']);
    expect(only(events, 'step').map(({ step, epoch, learningRate }) => [step, epoch, learningRate])).toEqual([
      [1, 0, 0],
      [2, 0, 0.005],
      [3, 0, 0.01],
    ]);
    expect(only(events, 'plan')[0]).toMatchObject({
      totalSteps: 3,
      startStep: 0,
      resumedFrom: null,
      eventsOffset: 0,
      trainableCount: 2 * 4 * 12,
    });
  });

  it('reports the drawn rank of each step', async () => {
    const options = tinyOptions({ totalSteps: 5 });
    const events = await eventsOf(train(options));
    expect(only(events, 'step').map(({ rank }) => rank)).toEqual(
      [0, 1, 2, 3, 4].map((step) => options.sampler!.rankAt(step)),
    );
  });

  it('finishes without anybody reading its events', async () => {
    expect((await tinyTrain({ totalSteps: 3 }).result).step).toBe(3);
  });

  it('goes on when its reader stops reading', async () => {
    const run = tinyTrain({ totalSteps: 4 });
    for await (const event of run) if (event.type === 'step') break;
    expect((await run.result).step).toBe(4);
  });

  it('does nothing for 0 steps', async () => {
    expect(await tinyTrain({ totalSteps: 0 }).result).toMatchObject({ step: 0, tokens: 0, finalLoss: NaN });
  });

  it('equals a loop of trainStep, bit for bit', async () => {
    const options = tinyOptions({ rankSchedule: 'one' });
    const own = tinyOptions({ rankSchedule: 'one' });
    const rng = createRng(own.seed).named('dropout');
    await train(options).result;
    for (let step = 0; step < own.totalSteps; step++) {
      await trainStep(
        own.adapted.atRank(own.sampler!.rankAt(step)),
        own.batches.batchAt(step),
        own.optimizer,
        { learningRate: own.schedule.at(step), rows: null, dropout: { rng, step } },
      );
    }
    expect(numbersOf(own.adapted.parameters())).toEqual(numbersOf(options.adapted.parameters()));
  });

  it('trains a bare model whose weights the optimizer was given', async () => {
    const model = tinyModel();
    const before = numbersOf(model.parameters());
    const events = await eventsOf(
      tinyTrain({
        model,
        sampler: null,
        optimizer: adamw(model.parameters(), { learningRate: 1e-2 }),
        totalSteps: 2,
      }),
    );
    expect(only(events, 'step').map(({ rank }) => rank)).toEqual([null, null]);
    expect(numbersOf(model.parameters())[0]).not.toEqual(before[0]);
  });

  it('never changes the frozen base', async () => {
    const options = tinyOptions();
    const base = options.adapted.model.parameters().filter(({ name }) => !name.includes('lora_'));
    const before = numbersOf(base);
    await train(options).result;
    expect(base.length).toBe(6);
    expect(numbersOf(base)).toEqual(before);
  });

  it.each([
    [{ totalSteps: -1 }, 'max_steps'],
    [{ totalSteps: 1.5 }, 'max_steps'],
    [{ maxBadSteps: 0 }, 'max_bad_steps'],
    [{ resume: 'latest' }, 'resume_from_checkpoint'],
    [{ evaluate: { every: 0, run: () => Promise.resolve({ byRank: [] }) } }, 'eval_steps'],
  ])('refuses %o at once, by name', (change, where) => {
    expect(() => tinyTrain(change as never)).toThrow(`[${where}]`);
  });
});

describe('evaluation', () => {
  const byLoss = (losses: number[]) => ({
    every: 2,
    run: ({ step }: { step: number }) =>
      Promise.resolve({ byRank: [{ rank: 4, loss: losses[step / 2 - 1] ?? 9 }] }),
  });

  it('comes every so many steps and after the last one', async () => {
    expect(
      only(
        await eventsOf(
          tinyTrain({
            totalSteps: 5,
            evaluate: { every: 2, run: () => Promise.resolve({ byRank: [{ rank: 1, loss: 1 }] }) },
          }),
        ),
        'eval',
      ).map(({ step }) => step),
    ).toEqual([2, 4, 5]);
  });

  it('keeps the best adapter, once for each improvement', async () => {
    const folder = temporaryFolder();
    const written: number[] = [];
    const events = await eventsOf(
      tinyTrain({
        totalSteps: 6,
        evaluate: byLoss([3, 1, 2]),
        save: {
          folder,
          writeBest: (at) => {
            written.push(written.length);
            writeFileSync(join(at, 'adapter.txt'), `${written.length}`);
          },
        },
      }),
    );
    expect(only(events, 'eval').map(({ isBest }) => isBest)).toEqual([true, true, false]);
    expect(only(events, 'checkpoint').map(({ kind, step }) => [kind, step])).toEqual([
      ['best', 2],
      ['best', 4],
      ['step', 6],
    ]);
    expect(readFileSync(join(folder, 'adapter-best', 'adapter.txt'), 'utf8')).toBe('2');
    expect(only(events, 'done')[0].result.best).toEqual({ step: 4, score: 1 });
  });

  it('judges by the score where there is one', async () => {
    const run = ({ step }: { step: number }) =>
      Promise.resolve({ byRank: [{ rank: 1, loss: -step }], score: step });
    expect(
      only(await eventsOf(tinyTrain({ totalSteps: 4, evaluate: { every: 2, run } })), 'eval').map(
        ({ isBest }) => isBest,
      ),
    ).toEqual([true, false]);
  });

  it('that fails fails the run with the same error', async () => {
    const problem = new Error('no such task');
    expect(await failureOf(tinyTrain({ evaluate: { every: 1, run: () => Promise.reject(problem) } }))).toBe(
      problem,
    );
  });
});

describe('steps without a finite loss', () => {
  /** Ids of step `bad` are made to hit an embedding that is no number. */
  const poisoned = (isBad: (step: number) => boolean, options: Parameters<typeof tinyOptions>[0] = {}) => {
    const built = tinyOptions({ adapter: {}, ...options });
    const weight = hostData(built.adapted.model.modules.embedding.weight.view) as Float32Array;
    const clean = Float32Array.from(weight);
    const batches = {
      ...built.batches,
      batchAt: (step: number) => {
        weight.set(isBad(step) ? clean.map(() => NaN) : clean);
        return built.batches.batchAt(step);
      },
    };
    return { ...built, batches };
  };

  it('are skipped and told, and the run goes on', async () => {
    const events = await eventsOf(train(poisoned((step) => step === 2)));
    expect(only(events, 'warning').map(({ code, step }) => [code, step])).toEqual([['NON_FINITE_LOSS', 3]]);
    expect(only(events, 'done')[0].result).toMatchObject({ step: 6, skippedSteps: 1 });
    expect(only(events, 'step').map(({ loss }) => Number.isFinite(loss))).toEqual([
      true,
      true,
      false,
      true,
      true,
      true,
    ]);
  });

  it('end the run after too many in a row, with the last good checkpoint kept and named', async () => {
    const folder = temporaryFolder();
    const failure = await failureOf(
      train(poisoned((step) => step >= 3, { totalSteps: 20, maxBadSteps: 4, save: { folder, every: 2 } })),
    );
    expect(failure.code).toBe('NON_FINITE_LOSS');
    expect(failure.details).toMatchObject({ step: 7, badSteps: 4 });
    expect(existsSync(join(failure.details.checkpoint as string, 'manifest.json'))).toBe(true);
  });

  it('do not add up over good ones', async () => {
    expect((await train(poisoned((step) => step % 2 === 0, { maxBadSteps: 2 })).result).skippedSteps).toBe(3);
  });

  it.each([
    ['NaN', NaN],
    ['an infinity', Infinity],
  ])(
    'that meet %s in a moment change nothing, are told, and end the run with the last good checkpoint kept',
    async (_, bad) => {
      const folder = temporaryFolder();
      const options = tinyOptions({
        totalSteps: 20,
        maxBadSteps: 3,
        save: { folder, every: 1 },
        adapter: {},
      });
      let weights: Float32Array[] = [];
      const batches = {
        ...options.batches,
        batchAt: (step: number) => {
          if (step === 2) {
            weights = numbersOf(options.adapted.parameters());
            [...options.optimizer.state().arrays.values()].at(-1)!.peek()![1] = bad;
          }
          return options.batches.batchAt(step);
        },
      };
      const run = train({ ...options, batches });
      const warnings: string[] = [];
      const failure = (async () => {
        for await (const event of run) if (event.type === 'warning') warnings.push(event.message);
      })();
      await expect(failure).rejects.toMatchObject({
        code: 'NON_FINITE_LOSS',
        details: { badSteps: 3, checkpoint: join(folder, 'checkpoints', 'step-2') },
      });
      expect(warnings[0]).toMatch(/step 3 was skipped: the optimizer state is not finite/);
      expect(numbersOf(options.adapted.parameters())).toEqual(weights);
      expect(checkpointsIn(folder)).toEqual(['step-1', 'step-2']);
    },
  );

  it('whose moments are large but finite go on: a sum of squares that overflows is no verdict', async () => {
    const options = tinyOptions({ totalSteps: 3, adapter: {} });
    options.optimizer.prepare(options.adapted.model.backend);
    [...options.optimizer.state().arrays.values()].at(-1)!.peek()![0] = 1e30;
    expect((await train(options).result).skippedSteps).toBe(0);
  });

  it('in a page of a paged optimizer end the run at once: other pages have changed already', async () => {
    const folder = temporaryFolder();
    const options = tinyOptions({
      totalSteps: 5,
      hidden: 64,
      adapter: { ranks: [1, 16, 64] },
      optimizerName: 'paged_adamw_32bit',
      paging: { budgetBytes: 6000, folder },
      save: { folder, every: 1 },
    });
    const batches = {
      ...options.batches,
      batchAt: (step: number) => {
        const [name, array] = [...options.optimizer.state().arrays].at(-1)!;
        if (step === 2) array.write(Float32Array.from(array.peek() as Float32Array).fill(NaN, -1) as never);
        expect(name).toMatch(/\.v$/);
        return options.batches.batchAt(step);
      },
    };
    const failure = await failureOf(train({ ...options, batches }));
    expect([failure.code, failure.message]).toEqual([
      'NON_FINITE',
      expect.stringMatching(/page of optimizer state \(v\)[\s\S]*go on from the last checkpoint/),
    ]);
    expect(checkpointsIn(folder)).toEqual(['step-1', 'step-2']);
  });

  it('whose weights are no numbers are not saved over a good checkpoint', async () => {
    const folder = temporaryFolder();
    const options = tinyOptions({ totalSteps: 4, save: { folder, every: 1 }, adapter: {} });
    const batches = {
      ...options.batches,
      batchAt: (step: number) => {
        if (step === 2) hostData(options.adapted.layers[0].a.view)[0] = NaN;
        return options.batches.batchAt(step);
      },
    };
    const events: TrainEvent[] = [];
    await expect(
      (async () => {
        for await (const event of train({ ...options, batches })) events.push(event);
      })(),
    ).rejects.toMatchObject({ code: 'NON_FINITE' });
    expect(only(events, 'warning').map(({ code }) => code)).toEqual([
      'NON_FINITE_LOSS',
      'NON_FINITE_WEIGHTS',
      'NON_FINITE_LOSS',
    ]);
    expect(checkpointsIn(folder)).toEqual(['step-1', 'step-2']);
  });
});

/**
 * A signal that fires when it is asked for the n-th time, as one does that another thread fires while this
 * one computes.
 */
function signalThatFiresAt(n: number): { readonly signal: AbortSignal; count(): number } {
  const controller = new AbortController();
  let count = 0;
  return {
    signal: Object.defineProperty(controller.signal, 'aborted', { get: () => ++count >= n }),
    count: () => count,
  };
}

describe('an abort', () => {
  it('saves the last whole step and rejects with ABORTED, naming it', async () => {
    const folder = temporaryFolder();
    const controller = new AbortController();
    const run = tinyTrain({ totalSteps: 100, save: { folder }, signal: controller.signal });
    for await (const event of run)
      if (event.type === 'step' && event.step === 3) {
        controller.abort('ctrl-c');
        break;
      }
    const failure = await failureOf(run);
    expect([failure.code, failure.cause]).toEqual(['ABORTED', 'ctrl-c']);
    expect(failure.details.checkpoint).toBe(
      join(folder, 'checkpoints', `step-${failure.details.step as number}`),
    );
    expect(checkpointsIn(folder)).toEqual([`step-${failure.details.step as number}`]);
  });

  it('between two passes leaves the weights of the last whole step', async () => {
    const controller = new AbortController();
    const options = tinyOptions({ totalSteps: 5, signal: controller.signal });
    const { model } = options.adapted;
    let passes = 0;
    const aborting = {
      ...model,
      loss: (...args: Parameters<typeof model.loss>) => {
        if (++passes === 4) controller.abort();
        return model.loss(...args);
      },
    }; // the second pass of step 2 has a third turn to come
    const adapted = {
      ...options.adapted,
      atRanks: (parts: Parameters<typeof options.adapted.atRanks>[0]) => ({
        ...options.adapted.atRanks(parts),
        model: aborting,
      }),
    };
    const failure = await failureOf(train({ ...options, model: adapted }));
    const whole = tinyOptions({ totalSteps: failure.details.step as number });
    await train(whole).result;
    expect(numbersOf(options.adapted.parameters())).toEqual(numbersOf(whole.adapted.parameters()));
  });

  it(
    'inside a pass ends it before the next op, leaves no memory behind, and the run goes on from the last ' +
      'whole step with the same bits',
    async () => {
      const whole = tinyOptions({ totalSteps: 3, save: { folder: temporaryFolder() } });
      const asked = signalThatFiresAt(Infinity);
      await train({ ...whole, signal: asked.signal }).result;
      expect(asked.count()).toBeGreaterThan(3 * 2 * 10); // 3 steps of 2 passes, of more than ten ops each
      for (const part of [0.4, 0.55, 0.71, 0.97]) {
        const folder = temporaryFolder();
        const { signal } = signalThatFiresAt(Math.floor(part * asked.count()));
        const stopped = tinyOptions({ totalSteps: 3, save: { folder }, signal });
        const { memory } = stopped.adapted.model.backend;
        const failure = await failureOf(train(stopped));
        expect([failure.code, checkpointsIn(folder)]).toEqual([
          'ABORTED',
          [`step-${failure.details.step as number}`],
        ]);
        expect(memory.usage().liveBytes).toBe(whole.adapted.model.backend.memory.usage().liveBytes);
        const further = tinyOptions({ totalSteps: 3, save: { folder }, resume: 'latest' });
        await train(further).result;
        expect(numbersOf(further.adapted.parameters())).toEqual(numbersOf(whole.adapted.parameters()));
      }
    },
  );

  it('before the first step saves nothing', async () => {
    const folder = temporaryFolder();
    const failure = await failureOf(tinyTrain({ save: { folder }, signal: AbortSignal.abort() }));
    expect([
      failure.code,
      failure.details.checkpoint,
      failure.nextStep,
      existsSync(join(folder, 'checkpoints')),
    ]).toEqual(['ABORTED', null, expect.stringMatching(/^No checkpoint was written/), false]);
  });

  it('during an evaluation is an abort, whatever the evaluation throws', async () => {
    const controller = new AbortController();
    const evaluate = {
      every: 2,
      run: () => {
        controller.abort();
        return Promise.reject(new Error('stopped'));
      },
    };
    expect((await failureOf(tinyTrain({ evaluate, signal: controller.signal }))).details).toMatchObject({
      step: 2,
    });
  });
});

describe('a short last step', () => {
  it('is one optimizer step like any other', async () => {
    expect((await tinyTrain({ batches: tinyBatches(5, 2, 2), totalSteps: 4 }).result).step).toBe(4);
  });
});
