import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFolderAtomically } from '@qdylora/checkpoint';
import { createHostBackend, type QdyloraError } from '@qdylora/contract';
import { DISTILLATION_STUDENTS, RANK_SCHEDULES, rankSampler } from '@qdylora/lora-dynamic';
import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, checkpointsIn, finished } from '../../test/saved-runs.ts';
import { numbersOf, tinyAdapted, tinyModel } from '../../test/tiny-model.ts';
import { eventsOf, tinyOptions, tinyTrain, type TinyRunOptions, failureOf } from '../../test/tiny-run.ts';
import { OPTIMIZER_FILE, OPTIMIZER_NAMES, sgd, train, type TrainEvent } from '../index.ts';
import { PARAMETERS_FILE } from './save-state.ts';

const lossesOf = (events: readonly TrainEvent[]): [number, number, number, number | null][] =>
  events.flatMap((e) => (e.type === 'step' ? [[e.step, e.loss, e.smoothedLoss, e.rank]] : []));
const evaluationsOf = (events: readonly TrainEvent[]) =>
  events.flatMap((e) => (e.type === 'eval' ? [{ step: e.step, score: e.score, isBest: e.isBest }] : []));
const bestOf = (events: readonly TrainEvent[]) =>
  events.flatMap((e) => (e.type === 'done' ? [e.result.best] : []));

/** Adapters of 64 x 64: 8-bit states for A, and for B. */
const WIDE = { hidden: 64, adapter: { ranks: [1, 16, 64] } };
const anyRun = fc.record({
  rankSchedule: fc.constantFrom(...RANK_SCHEDULES),
  /** Where the schedule is a sandwich. */
  student: fc.constantFrom(null, ...DISTILLATION_STUDENTS),
  updateRule: fc.constantFrom('prefix' as const, 'newest_block' as const),
  dropout: fc.constantFrom(0, 0.3),
  recompute: fc.boolean(),
  optimizerName: fc.constantFrom(...OPTIMIZER_NAMES),
  packing: fc.boolean(),
  microBatchSize: fc.integer({ min: 1, max: 3 }),
  accumulate: fc.integer({ min: 1, max: 2 }),
  total: fc.integer({ min: 2, max: 8 }),
  /** Steps at the largest rank alone, after which rows are sorted; 0: none. */
  wideSteps: fc.integer({ min: 0, max: 3 }),
  /** The step after which the run is aborted. */
  stop: fc.integer({ min: 1, max: 8 }),
});
type AnyRun = typeof anyRun extends fc.Arbitrary<infer Run> ? Run : never;
const EVERYTHING_ON: Omit<AnyRun, 'optimizerName'> = {
  rankSchedule: 'sandwich',
  student: 'smallest',
  updateRule: 'newest_block',
  dropout: 0.3,
  recompute: false,
  packing: true,
  microBatchSize: 2,
  accumulate: 2,
  total: 5,
  wideSteps: 0,
  stop: 3,
};

const evaluate = {
  every: 3,
  run: ({ step }: { step: number }) => Promise.resolve({ byRank: [{ rank: 1, loss: (step * 7) % 5 }] }),
};

const optionsOf = (
  { student, updateRule, dropout, total, wideSteps, stop: _, ...options }: AnyRun,
  pageFolder: string,
  extra: TinyRunOptions,
) =>
  tinyOptions({
    ...options,
    ...WIDE,
    distillation: student && options.rankSchedule === 'sandwich' ? { weight: 0.5, topK: 4, student } : null,
    paging: { budgetBytes: 6000, folder: pageFolder },
    adapter: { ...WIDE.adapter, updateRule: wideSteps > 0 ? 'prefix' : updateRule, dropout },
    totalSteps: total,
    wideSteps,
    evaluate,
    ...extra,
  });

/** Events of a run that is aborted after its step `stop`, or ends before. */
async function eventsUntilAborted(run: AnyRun, folder: string): Promise<TrainEvent[]> {
  const controller = new AbortController();
  const events: TrainEvent[] = [];
  try {
    for await (const event of train(
      optionsOf(run, folder, { save: { folder }, signal: controller.signal }),
    )) {
      events.push(event);
      if (event.type === 'step' && event.step === run.stop) controller.abort();
    }
  } catch (error) {
    expect((error as QdyloraError).code).toBe('ABORTED');
  }
  return events;
}

describe('a resumed run', () => {
  it('computes what the uninterrupted one did, bit for bit: losses, weights, moments', async () => {
    await fc.assert(
      fc.asyncProperty(anyRun, async (run) => {
        const whole = temporaryFolder();
        const broken = temporaryFolder();
        const expected = await eventsOf(train(optionsOf(run, broken, { save: { folder: whole } })));
        const before = await eventsUntilAborted(run, broken);
        const resumed = optionsOf(run, broken, { save: { folder: broken }, resume: 'latest' });
        const after = await eventsOf(train(resumed));
        expect([...lossesOf(before), ...lossesOf(after)]).toEqual(lossesOf(expected));
        expect([...evaluationsOf(before), ...evaluationsOf(after)]).toEqual(evaluationsOf(expected));
        for (const file of [PARAMETERS_FILE, OPTIMIZER_FILE])
          expect(bytesOf(broken, run.total, file).equals(bytesOf(whole, run.total, file)), file).toBe(true);
        expect(bestOf(after)).toEqual(bestOf(expected));
      }),
      {
        numRuns: 12,
        examples: [
          ...OPTIMIZER_NAMES.map((optimizerName): [AnyRun] => [{ ...EVERYTHING_ON, optimizerName }]),
          [{ ...EVERYTHING_ON, optimizerName: 'adamw_8bit', wideSteps: 2 }],
          [{ ...EVERYTHING_ON, optimizerName: 'adamw_32bit', total: 3, wideSteps: 3, stop: 3 }],
        ],
      },
    );
  });

  it('starts anew where there is no checkpoint yet', async () => {
    const [plan] = await eventsOf(
      tinyTrain({ totalSteps: 1, save: { folder: temporaryFolder() }, resume: 'latest' }),
    );
    expect(plan).toMatchObject({ startStep: 0, resumedFrom: null });
  });

  it('says where it goes on and where a log of events is to be cut', async () => {
    const folder = temporaryFolder();
    await finished(folder, 4);
    const [plan] = await eventsOf(tinyTrain({ totalSteps: 5, save: { folder }, resume: 'latest' }));
    expect(plan).toMatchObject({
      startStep: 4,
      resumedFrom: join(folder, 'checkpoints', 'step-4'),
      eventsOffset: 1 + 4 + 1,
    }); // plan, four steps, the checkpoint of step 2
  });

  it('does not evaluate again what was evaluated before its checkpoint', async () => {
    const folder = temporaryFolder();
    const at: number[] = [];
    const evaluate = {
      every: 2,
      run: ({ step }: { step: number }) => {
        at.push(step);
        return Promise.resolve({ byRank: [{ rank: 1, loss: 1 }] });
      },
    };
    await tinyTrain({ totalSteps: 4, evaluate, save: { folder } }).result;
    await tinyTrain({ totalSteps: 6, evaluate, save: { folder }, resume: 'latest' }).result;
    expect(at).toEqual([2, 4, 6]);
  });

  it('with more steps than planned goes on at the rates of the longer schedule, and says so', async () => {
    const folder = temporaryFolder();
    const rateOver = (steps: number) => (step: number) => 1e-2 * (1 - step / steps);
    const trainFor = (totalSteps: number, options: TinyRunOptions = {}) =>
      eventsOf(tinyTrain({ totalSteps, schedule: { warmupSteps: 0, at: rateOver(totalSteps) }, ...options }));
    await trainFor(4, { save: { folder } });
    const [plan, ...events] = await trainFor(6, { save: { folder }, resume: 'latest' });
    expect(plan).toMatchObject({ startStep: 4, totalSteps: 6, previousTotalSteps: 4 });
    const rates = events.flatMap((e) => (e.type === 'step' ? [e.learningRate] : []));
    expect(rates).toEqual([rateOver(6)(4), rateOver(6)(5)]);
    const [finishedPlan] = await trainFor(6, { save: { folder }, resume: 'latest' });
    expect(finishedPlan).toMatchObject({ startStep: 6, previousTotalSteps: null });
  });

  it('with more steps than planned neither trains the largest rank alone nor sorts again', async () => {
    /** Trains until each number of steps in turn, the first so many at the largest rank. */
    const trainUntil = async (plans: readonly (readonly [totalSteps: number, wideSteps: number])[]) => {
      const folder = temporaryFolder();
      const events: TrainEvent[] = [];
      for (const [totalSteps, wideSteps] of plans)
        events.push(
          ...(await eventsOf(tinyTrain({ totalSteps, wideSteps, save: { folder }, resume: 'latest' }))),
        );
      return [lossesOf(events), bytesOf(folder, plans.at(-1)![0], PARAMETERS_FILE)];
    };
    const longerPlans = [
      [4, 2],
      [8, 4],
      [12, 10],
    ] as const;
    const samePlan = [
      [4, 2],
      [8, 2],
      [12, 2],
    ] as const;
    expect(await trainUntil(longerPlans)).toEqual(await trainUntil(samePlan));
  });

  it('compares keys that a checkpoint lacks by the values that they had then', async () => {
    const folder = temporaryFolder();
    const absentConfig = { rates: 'nested' };
    const trainWith = (config: object, totalSteps: number) =>
      tinyTrain({ totalSteps, save: { folder, config: { ...config }, absentConfig }, resume: 'latest' })
        .result;
    await trainWith({}, 2);
    await expect(trainWith({ rates: 'dedicated' }, 4)).rejects.toThrow(
      'rates "dedicated" (was "nested"). Restore these values',
    );
    expect(await trainWith({ rates: 'nested' }, 3)).toMatchObject({ step: 3 });
    expect(await trainWith({}, 4)).toMatchObject({ step: 4 });
    expect(await trainWith({ rates: null }, 5)).toMatchObject({ step: 5 });
    await expect(trainWith({ rates: 'dedicated' }, 6)).rejects.toThrow('rates "dedicated" (was "nested")');
    expect(await trainWith({ rates: 'nested' }, 6)).toMatchObject({ step: 6 });
    expect(await trainWith({ rates: null }, 7)).toMatchObject({ step: 7 });
  });

  it('with more steps than planned draws the ranks of a sampler of the user', async () => {
    const folder = temporaryFolder();
    const sampler = { ...rankSampler(tinyAdapted().ranks, { seed: 1 }), ranksOfPart: () => [2] };
    const trainFor = (totalSteps: number, wideSteps: number) =>
      eventsOf(tinyTrain({ totalSteps, wideSteps, sampler, save: { folder }, resume: 'latest' }));
    const events = [...(await trainFor(4, 2)), ...(await trainFor(8, 4))];
    const { maxRank } = tinyAdapted().ranks;
    expect(events.flatMap((event) => (event.type === 'step' ? [event.ranks] : []))).toEqual([
      ...Array.from({ length: 2 }, () => [maxRank]),
      ...Array.from({ length: 6 }, () => [2]),
    ]);
  });

  it('that is already finished does no step', async () => {
    const folder = temporaryFolder();
    await finished(folder, 4);
    expect(await tinyTrain({ totalSteps: 4, save: { folder }, resume: 'latest' }).result).toMatchObject({
      step: 4,
      tokens: expect.any(Number),
    });
  });

  it('warns once where other kernels go on, and never where the same ones do', async () => {
    const folder = temporaryFolder();
    const warningsOn = async (level: string | undefined, totalSteps: number): Promise<string[]> => {
      const adapted = tinyAdapted({ dropout: 0.2 }, tinyModel({ ...createHostBackend(), level }));
      const optimizer = sgd(adapted.parameters(), { learningRate: 1e-2 });
      return (
        await eventsOf(
          tinyTrain({ model: adapted, optimizer, totalSteps, save: { folder }, resume: 'latest' }),
        )
      ).flatMap((e) => (e.type === 'warning' ? [`${e.code}: ${e.message}`] : []));
    };
    expect([await warningsOn('avx512', 2), await warningsOn('avx512', 4)]).toEqual([[], []]);
    expect(await warningsOn('avx2', 6)).toEqual([
      expect.stringMatching(
        /^OTHER_KERNELS: The steps so far were .* of host avx512; this run continues with host avx2, which/,
      ),
    ]);
    expect(await warningsOn('avx2', 8)).toEqual([]);
    expect(await warningsOn(undefined, 10)).toEqual([
      expect.stringMatching(/of host avx2; this run continues with host, which/),
    ]);
    expect(await warningsOn('avx512', 10)).toEqual([]); // nothing is left to do
  });

  it('passes over a damaged newest checkpoint, loudly, and still ends the same', async () => {
    const whole = temporaryFolder();
    const folder = temporaryFolder();
    await finished(whole, 6);
    await finished(folder, 4);
    truncateSync(join(folder, 'checkpoints', 'step-4', PARAMETERS_FILE), 100);
    const events = await eventsOf(
      tinyTrain({ totalSteps: 6, save: { folder, every: 2, totalLimit: 9 }, resume: 'latest' }),
    );
    expect(events.flatMap((e) => (e.type === 'warning' ? [e.code] : []))).toEqual(['DAMAGED_CHECKPOINT']);
    expect(events.find(({ type }) => type === 'plan')).toMatchObject({ startStep: 2 });
    expect(checkpointsIn(folder)).toEqual(['step-2', 'step-4', 'step-4.damaged', 'step-6']);
    expect(bytesOf(folder, 6, OPTIMIZER_FILE).equals(bytesOf(whole, 6, OPTIMIZER_FILE))).toBe(true);
  });

  it.each(['manifest.json', 'state.json', PARAMETERS_FILE])(
    'notices one flipped byte in %s',
    async (file) => {
      const folder = temporaryFolder();
      await finished(folder, 4);
      const path = join(folder, 'checkpoints', 'step-4', file);
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1] ^= 1;
      writeFileSync(path, bytes);
      expect(
        (await eventsOf(tinyTrain({ totalSteps: 4, save: { folder }, resume: 'latest' }))).find(
          ({ type }) => type === 'plan',
        ),
      ).toMatchObject({ startStep: 2 });
    },
  );

  it('takes a whole folder of another kind for no checkpoint, under whatever name', async () => {
    const folder = temporaryFolder();
    const other = join(folder, 'checkpoints', 'step-9');
    await finished(folder, 2);
    await writeFolderAtomically(
      other,
      (at) => {
        writeFileSync(join(at, 'adapter.json'), '{}');
      },
      {},
    );
    expect(await failureOf(tinyTrain({ save: { folder }, resume: other }))).toMatchObject({
      code: 'BAD_RESUME',
      message: expect.stringMatching(
        /step-9 is not a whole checkpoint: .*step-9 has no state\.json\./,
      ) as string,
    });
    const events = await eventsOf(tinyTrain({ totalSteps: 2, save: { folder }, resume: 'latest' }));
    expect(events.flatMap((event) => (event.type === 'warning' ? [event.code] : []))).toEqual([
      'DAMAGED_CHECKPOINT',
    ]);
    expect(checkpointsIn(folder)).toEqual(['step-2', 'step-9.damaged']);
  });

  it('refuses where every checkpoint is damaged', async () => {
    const folder = temporaryFolder();
    await finished(folder, 2);
    rmSync(join(folder, 'checkpoints', 'step-2', 'manifest.json'));
    expect((await failureOf(tinyTrain({ save: { folder }, resume: 'latest' }))).code).toBe('BAD_RESUME');
    expect(checkpointsIn(folder)).toEqual(['step-2']);
  });

  it('from a named checkpoint sets the later ones aside', async () => {
    const folder = temporaryFolder();
    await finished(folder, 4);
    await tinyTrain({
      totalSteps: 3,
      save: { folder, totalLimit: 9 },
      resume: join(folder, 'checkpoints', 'step-2'),
    }).result;
    expect(checkpointsIn(folder)).toEqual(['step-2', 'step-3', 'step-4.superseded']);
  });

  it('lists what differs from the first run', async () => {
    const folder = temporaryFolder();
    await tinyTrain({
      totalSteps: 1,
      save: {
        folder,
        config: { lora_r: 4, dataset: 'a.jsonl', target_modules: ['q', 'v'], dataset_weights: [1, 0.5] },
      },
    }).result;
    const failure = await failureOf(
      tinyTrain({
        totalSteps: 2,
        seed: 4,
        save: {
          folder,
          config: { lora_r: 8, dataset: 'a.jsonl', target_modules: ['q', 'v'], dataset_weights: [1, 2] },
        },
        resume: 'latest',
      }),
    );
    expect(failure.code).toBe('BAD_RESUME');
    expect(failure.details.different).toEqual(['dataset_weights', 'lora_r', 'seed']);
    expect(failure.message).toMatch(
      /dataset_weights \[1,2\] \(was \[1,0\.5\]\), lora_r 8 \(was 4\), seed 4 \(was 3\)/,
    );
  });

  it('with another shape of adapter changes no weight', async () => {
    const folder = temporaryFolder();
    await finished(folder, 2);
    const options = tinyOptions({ adapter: { ranks: [1, 2] }, save: { folder }, resume: 'latest' });
    const before = numbersOf(options.adapted.parameters());
    await expect(train(options).result).rejects.toMatchObject({ code: 'BAD_RESUME' });
    expect(numbersOf(options.adapted.parameters())).toEqual(before);
  });

  it.each([
    ['adamw_8bit', 'paged_adamw_8bit'],
    ['paged_adamw_32bit', 'adamw_32bit'],
  ])('of %s goes on as %s: the same bits', async (first, second) => {
    const whole = temporaryFolder();
    const folder = temporaryFolder();
    const paging = { budgetBytes: 6000, folder };
    const options = { ...WIDE, paging, totalSteps: 4 };
    await tinyTrain({ ...options, optimizerName: first, save: { folder: whole } }).result;
    await tinyTrain({ ...options, optimizerName: first, totalSteps: 2, save: { folder } }).result;
    await tinyTrain({ ...options, optimizerName: second, save: { folder }, resume: 'latest' }).result;
    for (const file of [PARAMETERS_FILE, OPTIMIZER_FILE])
      expect(bytesOf(folder, 4, file).equals(bytesOf(whole, 4, file)), file).toBe(true);
  });

  it('with another optimizer says so', async () => {
    const folder = temporaryFolder();
    await finished(folder, 2);
    const options = tinyOptions({ save: { folder }, resume: 'latest' });
    await expect(
      train({ ...options, optimizer: sgd(options.adapted.parameters(), { learningRate: 1e-2 }) }).result,
    ).rejects.toThrow(/optimizer "sgd" \(was "adamw_32bit"\)/);
  });
});
