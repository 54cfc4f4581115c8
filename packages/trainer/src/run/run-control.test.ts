import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { rankSampler, rankSet } from '@qdylora/lora-dynamic';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { numbersOf } from '../../test/tiny-model.ts';
import { eventsOf, tinyOptions, tinyTrain } from '../../test/tiny-run.ts';
import { train, type EarlyStoppingOptions, type EvaluateOptions, type TrainEvent } from '../index.ts';

/** The n-th evaluation finds the n-th loss at rank 4, and its negative as the area. */
const losses = (values: readonly number[], every = 1): EvaluateOptions => ({
  every,
  run: ({ step }) =>
    Promise.resolve({
      byRank: [
        { rank: 2, loss: 5 },
        { rank: 4, loss: values[step / every - 1] ?? 9 },
      ],
      aurac: -(values[step / every - 1] ?? 9),
    }),
});
const typesOf = (events: readonly TrainEvent[]): string[] =>
  events.map((event) =>
    event.type === 'checkpoint'
      ? `checkpoint ${event.kind} ${event.step}`
      : 'step' in event
        ? `${event.type} ${event.step}`
        : event.type,
  );

describe('a sampler of the user', () => {
  const sampler = rankSampler(rankSet([1, 2, 4]), { seed: 1 });

  it('decides the ranks of a step by ranksOfPart', async () => {
    const mine = { ...sampler, ranksOfPart: () => [2] };
    const steps = (await eventsOf(tinyTrain({ totalSteps: 2, sampler: mine }))).filter(
      (event) => event.type === 'step',
    );
    expect(steps.map(({ ranks }) => ranks)).toEqual([[2], [2]]);
  });

  it.each(['rankAt', 'ranksOfPart', 'segmentsOf', 'lossWeightOf'])('is refused without %s', (name) => {
    expect(() => tinyTrain({ sampler: { ...sampler, [name]: undefined } as never })).toThrow(
      /`sampler` must be an object with rankAt, ranksOfPart, segmentsOf, lossWeightOf/,
    );
  });
});

describe('callbacks', () => {
  it('are called with the very events that a reader gets, in the same order', async () => {
    const called: TrainEvent[] = [];
    const note = (event: TrainEvent): void => {
      called.push(event);
    };
    const events = await eventsOf(
      tinyTrain({
        totalSteps: 4,
        evaluate: losses([3, 2], 2),
        save: { folder: temporaryFolder(), every: 2, writeBest: (at) => writeFileSync(join(at, 'a'), '') },
        onStep: note,
        onEvaluate: note,
        onSave: note,
      }),
    );
    expect(called).toEqual(events.filter(({ type }) => ['step', 'eval', 'checkpoint'].includes(type)));
    expect(typesOf(called)).toEqual([
      'step 1',
      'step 2',
      'eval 2',
      'checkpoint best 2',
      'checkpoint step 2',
      'step 3',
      'step 4',
      'eval 4',
      'checkpoint best 4',
      'checkpoint step 4',
    ]);
  });

  it('are waited for, so that what one changes the next step sees', async () => {
    const options = tinyOptions({ totalSteps: 3 });
    const seen: number[] = [];
    let rate = 0.01;
    await train({
      ...options,
      schedule: {
        ...options.schedule,
        at: () => {
          seen.push(rate);
          return rate;
        },
      },
      onStep: async () => {
        await new Promise((resolve) => {
          setTimeout(resolve, 5);
        });
        rate /= 2;
      },
    }).result;
    expect(seen).toEqual([0.01, 0.005, 0.0025]);
  });

  it('change nothing by being there', async () => {
    const plain = tinyOptions();
    const watched = tinyOptions();
    await train(plain).result;
    await train({ ...watched, onStep: () => {}, onEvaluate: () => {}, onSave: () => {} }).result;
    expect(numbersOf(watched.adapted.parameters())).toEqual(numbersOf(plain.adapted.parameters()));
  });

  it.each(['onStep', 'onEvaluate', 'onSave'] as const)(
    'end the run where %s says stop: the step is evaluated and saved as a last one',
    async (name) => {
      const folder = temporaryFolder();
      const stop = ({ step }: { step: number }): 'stop' | undefined => (step === 2 ? 'stop' : undefined);
      const run = tinyTrain({
        totalSteps: 9,
        evaluate: losses([3, 2, 1]),
        save: { folder, every: 1 },
        [name]: stop,
      });
      const events = await eventsOf(run);
      expect(await run.result).toMatchObject({
        step: 2,
        stoppedBy: 'callback',
        checkpoint: join(folder, 'checkpoints', 'step-2'),
      });
      expect(typesOf(events).slice(-4)).toEqual(['step 2', 'eval 2', 'checkpoint step 2', 'done']);
    },
  );

  it('that stop a run before its rows are sorted bring a warning, and later ones none', async () => {
    const warningsOfStopAt = async (last: number): Promise<string[]> => {
      const run = tinyTrain({
        totalSteps: 9,
        wideSteps: 3,
        onStep: ({ step }) => (step === last ? 'stop' : undefined),
      });
      return (await eventsOf(run)).filter((event) => event.type === 'warning').map(({ code }) => code);
    };
    expect(await warningsOfStopAt(2)).toEqual(['UNSORTED_ROWS']);
    expect(await warningsOfStopAt(3)).toEqual([]);
    expect(await warningsOfStopAt(9)).toEqual([]);
  });

  it('are followed by an evaluation where a save has made the step the last one', async () => {
    const events = await eventsOf(
      tinyTrain({
        totalSteps: 9,
        evaluate: losses([3], 4),
        save: { folder: temporaryFolder(), every: 3 },
        onSave: () => 'stop',
      }),
    );
    // saved once more, with what the evaluation has changed
    const saved = 'checkpoint step 3';
    expect(typesOf(events).slice(-5)).toEqual(['step 3', saved, 'eval 3', saved, 'done']);
  });

  it(
    'of the plan is waited for before anybody is told of it and before the first step; where it throws, ' +
      'nothing was done',
    async () => {
      const folder = temporaryFolder();
      const order: string[] = [];
      const note = async (): Promise<void> => {
        await new Promise((resolve) => {
          setTimeout(resolve, 5);
        });
        order.push('noted');
      };
      for await (const event of tinyTrain({ totalSteps: 1, onPlan: note })) order.push(event.type);
      expect(order).toEqual(['noted', 'plan', 'step', 'done']);
      const problem = new Error('mine');
      const options = tinyOptions({
        save: { folder, every: 1 },
        onPlan: () => {
          throw problem;
        },
      });
      const before = numbersOf(options.adapted.parameters());
      await expect(train(options).result).rejects.toBe(problem);
      expect([readdirSync(folder), numbersOf(options.adapted.parameters())]).toEqual([[], before]);
    },
  );

  it('that throw end the run with their error, whatever it is called', async () => {
    const problem = Object.assign(new Error('mine'), { code: 'WRITE_FAILED' });
    for (const name of ['onStep', 'onEvaluate', 'onSave'] as const) {
      await expect(
        tinyTrain({
          totalSteps: 2,
          evaluate: losses([1, 1]),
          save: { folder: temporaryFolder(), every: 1 },
          [name]: () => {
            throw problem;
          },
        }).result,
        name,
      ).rejects.toBe(problem);
    }
  });
});

describe('the best adapter', () => {
  const writeBest = (at: string): void => {
    writeFileSync(join(at, 'a'), '');
  };

  it('is written although onEvaluate throws', async () => {
    const folder = temporaryFolder();
    const onEvaluate = (): never => {
      throw new Error('mine');
    };
    const save = { folder, every: 1, writeBest };
    await expect(tinyTrain({ evaluate: losses([3]), save, onEvaluate }).result).rejects.toThrow('mine');
    expect(readdirSync(join(folder, 'adapter-best'))).toContain('a');
  });

  it('that could not be written is not one that later ones have to beat', async () => {
    const folder = temporaryFolder();
    let calls = 0;
    const failsOnce = (at: string): void => {
      if (++calls === 1) throw new QdyloraError('WRITE_FAILED', { where: at, problem: 'The disk is full' });
      writeBest(at);
    };
    const run = tinyTrain({
      totalSteps: 3,
      evaluate: losses([1, 3, 2]),
      save: { folder, every: null, writeBest: failsOnce },
    });
    expect(typesOf(await eventsOf(run))).toContain('checkpoint best 2');
    expect((await run.result).best).toEqual({ step: 3, score: 3.5 });
    expect(readdirSync(join(folder, 'adapter-best'))).toContain('a');
  });
});

describe('the events of a run', () => {
  it('come whole to each of two readers', async () => {
    const run = tinyTrain({ totalSteps: 4 });
    const [one, other] = await Promise.all([eventsOf(run), eventsOf(run)]);
    expect(typesOf(one)).toEqual(['plan', 'step 1', 'step 2', 'step 3', 'step 4', 'done']);
    expect(other).toEqual(one);
  });

  it('wait for the next reader where the only one has left', async () => {
    const run = tinyTrain({ totalSteps: 4 });
    for await (const event of run) if (event.type === 'step' && event.step === 2) break;
    await run.result;
    expect(typesOf(await eventsOf(run))).toEqual(['step 3', 'step 4', 'done']);
  });
});

describe('early stopping', () => {
  const curve = [5, 4, 4.5, 4.25, 3, 2];
  const stopping = (options: EarlyStoppingOptions, change: Parameters<typeof tinyOptions>[0] = {}) =>
    tinyTrain({ totalSteps: 6, evaluate: losses(curve), earlyStopping: options, ...change });

  it.each([
    [4, 1, 3],
    [4, 2, 4],
    [4, 3, 6],
    ['aurac', 2, 4],
    [2, 3, 4],
  ] as const)('on %j with patience %d ends after step %d', async (on, patience, step) => {
    expect(await stopping({ on, patience }).result).toMatchObject({
      step,
      stoppedBy: step === 6 ? null : 'early_stopping',
    });
  });

  it('and a callback that stops after the last step end nothing', async () => {
    const folder = temporaryFolder();
    const options = { save: { folder, every: 1 }, resume: 'latest', totalSteps: 4 } as const;
    for (const process of ['the run', 'the ended run again']) {
      const run = stopping({ on: 4, patience: 2 }, options);
      expect((await run.result).stoppedBy, process).toBe(null);
    }
    const stopped = tinyTrain({ totalSteps: 2, onStep: ({ step }) => (step === 2 ? 'stop' : undefined) });
    expect((await stopped.result).stoppedBy).toBe(null);
  });

  it('saves the step that it ends at, and keeps the best one as the best', async () => {
    const folder = temporaryFolder();
    const result = await stopping({ on: 4, patience: 2 }, { save: { folder, every: null } }).result;
    expect(readdirSync(join(folder, 'checkpoints'))).toEqual(['step-4']);
    expect(result.best?.step).toBe(2);
  });

  it('ends a resumed run where the uninterrupted one ended, also if stopped while it waited', async () => {
    const folder = temporaryFolder();
    const options = { save: { folder, every: 1 }, resume: 'latest' } as const;
    const whole = tinyOptions({ totalSteps: 6 });
    await train({ ...whole, evaluate: losses(curve), earlyStopping: { on: 4, patience: 2 } }).result;
    await stopping(
      { on: 4, patience: 2 },
      {
        ...options,
        onStep: ({ step }) => {
          if (step === 3) return 'stop';
          return undefined;
        },
      },
    ).result;
    const resumed = tinyOptions({ totalSteps: 6, ...options });
    expect(
      await train({ ...resumed, evaluate: losses(curve), earlyStopping: { on: 4, patience: 2 } }).result,
    ).toMatchObject({ step: 4, stoppedBy: 'early_stopping' });
    expect(numbersOf(resumed.adapted.parameters())).toEqual(numbersOf(whole.adapted.parameters()));
    const again = await eventsOf(stopping({ on: 4, patience: 2 }, options));
    expect(typesOf(again)).toEqual(['plan', 'done']);
    expect(await stopping({ on: 4, patience: 3 }, options).result).toMatchObject({
      step: 6,
      stoppedBy: null,
    });
  });

  it('is refused at once without evaluations', () => {
    expect(() => stopping({ on: 4 }, { evaluate: undefined })).toThrow(
      '[early_stopping] There are no evaluations to watch',
    );
  });
});

describe('an evaluation', () => {
  it('names the first rank of the lowest loss, and none where no loss is a number', async () => {
    const run = async (byRank: { rank: number | null; loss: number }[]) =>
      (
        await eventsOf(
          tinyTrain({ totalSteps: 1, evaluate: { every: 1, run: () => Promise.resolve({ byRank }) } }),
        )
      ).find((event) => event.type === 'eval');
    expect(
      await run([
        { rank: 1, loss: 2 },
        { rank: 2, loss: 1 },
        { rank: 4, loss: 1 },
      ]),
    ).toMatchObject({ bestRank: 2, aurac: null });
    expect(await run([{ rank: 1, loss: NaN }])).toMatchObject({ bestRank: null });
    expect(await run([{ rank: null, loss: 1 }])).toMatchObject({ bestRank: null });
  });
});
