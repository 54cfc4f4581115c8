import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { checkpointsIn } from '../../test/saved-runs.ts';
import { numbersOf } from '../../test/tiny-model.ts';
import { failureOf, tinyOptions, tinyTrain } from '../../test/tiny-run.ts';
import { train } from '../index.ts';

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
      const reads = signalThatFiresAt(Infinity);
      await train({ ...whole, signal: reads.signal }).result;
      expect(reads.count()).toBeGreaterThan(3 * 2 * 10); // 3 steps of 2 passes, of more than ten ops each
      for (const part of [0.4, 0.55, 0.71, 0.97]) {
        const folder = temporaryFolder();
        const { signal } = signalThatFiresAt(Math.floor(part * reads.count()));
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
