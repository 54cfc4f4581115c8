import { join } from 'node:path';
import { hostData } from '@qdylora/contract';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { checkpointsIn } from '../../test/saved-runs.ts';
import { numbersOf } from '../../test/tiny-model.ts';
import { eventsOf, eventsOfType, failureOf, tinyOptions } from '../../test/tiny-run.ts';
import { train, type TrainEvent } from '../index.ts';

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
    expect(eventsOfType(events, 'warning').map(({ code, step }) => [code, step])).toEqual([
      ['NON_FINITE_LOSS', 3],
    ]);
    expect(eventsOfType(events, 'done')[0].result).toMatchObject({ step: 6, skippedSteps: 1 });
    expect(eventsOfType(events, 'step').map(({ loss }) => Number.isFinite(loss))).toEqual([
      true,
      true,
      false,
      true,
      true,
      true,
    ]);
  });

  it('end the run after too many in a row, and the weights of the last update are saved', async () => {
    const folder = temporaryFolder();
    const save = { folder, every: null };
    const bad = poisoned((step) => step >= 3, { totalSteps: 20, maxBadSteps: 4, save });
    const failure = await failureOf(train(bad));
    const checkpoint = join(folder, 'checkpoints', 'step-7');
    expect(failure.code).toBe('NON_FINITE_LOSS');
    expect(failure.details).toMatchObject({ step: 7, badSteps: 4, checkpoint });
    expect(failure.nextStep).toBe(
      'Use a smaller learning_rate or max_grad_norm. What was learned up to step 7 is kept. ' +
        `Resume from ${checkpoint} with resume_from_checkpoint.`,
    );
    const good = tinyOptions({ adapter: {}, totalSteps: 20, save, resume: 'latest' });
    let restored: Float32Array[] = [];
    const onPlan = (): void => {
      restored = numbersOf(good.adapted.parameters());
    };
    const { step, skippedSteps } = await train({ ...good, onPlan }).result;
    expect({ step, skippedSteps }).toEqual({ step: 20, skippedSteps: 4 });
    const whole = tinyOptions({ adapter: {}, totalSteps: 20 });
    await train({ ...whole, onStep: ({ step: last }) => (last === 3 ? 'stop' : undefined) }).result;
    expect(restored).toEqual(numbersOf(whole.adapted.parameters()));
  });

  it('may be as many again after the run was resumed', async () => {
    const save = { folder: temporaryFolder(), every: null };
    const part = { totalSteps: 9, maxBadSteps: 3, save };
    await failureOf(train(poisoned((step) => step >= 2, part)));
    const resumed = poisoned((step) => step < 7, { ...part, resume: 'latest' });
    expect((await train(resumed).result).skippedSteps).toBe(5);
  });

  it('end the run without a save if the weights are not finite either', async () => {
    const folder = temporaryFolder();
    const options = tinyOptions({ totalSteps: 9, maxBadSteps: 2, save: { folder, every: 2 }, adapter: {} });
    const batches = {
      ...options.batches,
      batchAt: (step: number) => {
        if (step === 3) hostData(options.adapted.layers[0].a.view)[0] = NaN;
        return options.batches.batchAt(step);
      },
    };
    const failure = await failureOf(train({ ...options, batches }));
    const checkpoint = join(folder, 'checkpoints', 'step-2');
    expect(failure.details).toMatchObject({ step: 5, badSteps: 2, checkpoint });
    expect(failure.message).toMatch(/lora_A.* has the value NaN .*The last good checkpoint is .*step-2\.$/);
    expect(checkpointsIn(folder)).toEqual(['step-2']);
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
      expect.stringMatching(
        /page of optimizer state \(v\) holds NaN or infinity\. .* Resume from the last checkpoint\./,
      ),
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
    expect(eventsOfType(events, 'warning').map(({ code }) => code)).toEqual([
      'NON_FINITE_LOSS',
      'NON_FINITE_WEIGHTS',
      'NON_FINITE_LOSS',
    ]);
    expect(checkpointsIn(folder)).toEqual(['step-1', 'step-2']);
  });
});
