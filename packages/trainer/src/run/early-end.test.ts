import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createHostBackend, InsufficientMemoryError, QdyloraError } from '@qdylora/contract';
import { withFailingMemory } from '@qdylora/testing';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { numbersOf, tinyAdapted, tinyModel } from '../../test/tiny-model.ts';
import { checkpointsIn } from '../../test/saved-runs.ts';
import { eventsOf, failureOf, tinyOptions, tinyTrain } from '../../test/tiny-run.ts';
import { createOptimizer, train, type Optimizer, type StepBatches } from '../index.ts';

const badRow = (): QdyloraError =>
  new QdyloraError('BAD_DATA', {
    where: 'rows.jsonl:7',
    problem: 'The line has only half a row',
    nextStep: 'Mend it.',
    details: { line: 7 },
  });

/** Batches of which the one of a step cannot be read. */
const failingAt = (step: number, batches: StepBatches, error: unknown): StepBatches => ({
  ...batches,
  batchAt(index) {
    if (index === step) throw error;
    return batches.batchAt(index);
  },
});

/** The same optimizer with another `step`. */
const withStep = (optimizer: Optimizer, step: Optimizer['step']): Optimizer =>
  new Proxy(optimizer, {
    get: (target, key) => (key === 'step' ? step : (Reflect.get(target, key) as unknown)),
  });

describe('a run that an error ends', () => {
  it(
    'at a row that cannot be read keeps what it has learned, says so, and goes on from there to the ' +
      'same bits',
    async () => {
      const folder = temporaryFolder();
      const save = { folder, every: null };
      const whole = tinyOptions();
      const first = tinyOptions({ save });
      await train(whole).result;
      const run = train({ ...first, batches: failingAt(4, first.batches, badRow()) });
      const failure = await failureOf(run);
      expect(failure).toMatchObject({ code: 'BAD_DATA', where: 'rows.jsonl:7', details: { line: 7 } });
      expect(failure.message).toBe(
        `[rows.jsonl:7] The line has only half a row. Mend it. What was learned up to step 4 is kept. ` +
          `Resume from ${join(folder, 'checkpoints/step-4')} with resume_from_checkpoint.`,
      );
      expect(checkpointsIn(folder)).toEqual(['step-4']);
      const mended = tinyOptions({ save, resume: 'latest' });
      expect((await eventsOf(train(mended)))[0]).toMatchObject({ type: 'plan', startStep: 4 });
      expect(numbersOf(mended.adapted.parameters())).toEqual(numbersOf(whole.adapted.parameters()));
    },
  );

  it('tells its readers of that checkpoint before it throws', async () => {
    const folder = temporaryFolder();
    const options = tinyOptions({ save: { folder, every: null } });
    const told: string[] = [];
    const read = async (): Promise<void> => {
      for await (const event of train({ ...options, batches: failingAt(2, options.batches, badRow()) }))
        told.push(event.type);
    };
    await expect(read()).rejects.toThrow('What was learned up to step 2 is kept.');
    expect(told).toEqual(['plan', 'step', 'step', 'checkpoint']);
  });

  it('where memory runs out in a step keeps the step before', async () => {
    const folder = temporaryFolder();
    const memory = withFailingMemory(createHostBackend({ poison: true }));
    const adapted = tinyAdapted({}, tinyModel(memory.backend));
    const optimizer = createOptimizer('adamw_32bit', adapted.parameters(), { learningRate: 1e-2 });
    const failure = await failureOf(
      train({
        ...tinyOptions(),
        model: adapted,
        optimizer,
        save: { folder, every: null },
        onStep: ({ step }) => {
          if (step === 3) memory.failAt(memory.allocations + 20);
        },
      }),
    );
    expect([failure.code, failure.message]).toEqual([
      'OUT_OF_MEMORY',
      expect.stringMatching(/gradient checkpointing.* What was learned up to step 3 is kept\./),
    ]);
    expect(checkpointsIn(folder)).toEqual(['step-3']);
  });

  it('where memory runs out in an update that changes nothing keeps the step before', async () => {
    const folder = temporaryFolder();
    const options = tinyOptions({ save: { folder, every: null } });
    let updates = 0;
    const optimizer = withStep(options.optimizer, (update) => {
      if (++updates === 4) throw new InsufficientMemoryError(8, 4);
      options.optimizer.step(update);
    });
    const failure = await failureOf(train({ ...options, optimizer }));
    expect([failure.code, checkpointsIn(folder)]).toEqual(['OUT_OF_MEMORY', ['step-3']]);
  });

  it('of a callback or an evaluation keeps the step, and throws that very error', async () => {
    const mine = new Error('mine');
    const fail = (): never => {
      throw mine;
    };
    for (const change of [{ onStep: fail }, { evaluate: { every: 1, run: fail } }]) {
      const folder = temporaryFolder();
      await expect(tinyTrain({ ...change, save: { folder, every: null } }).result).rejects.toBe(mine);
      expect(checkpointsIn(folder)).toEqual(['step-1']);
    }
  });

  it('says what is kept also where the newest checkpoint has all of it already', async () => {
    const folder = temporaryFolder();
    const options = tinyOptions({ save: { folder, every: 2 } });
    expect(
      (await failureOf(train({ ...options, batches: failingAt(4, options.batches, badRow()) }))).message,
    ).toMatch(/What was learned up to step 4 is kept\. Resume from .*step-4 with/);
    expect(checkpointsIn(folder)).toEqual(['step-2', 'step-4']);
  });

  it('before it has learned anything, or without a folder, throws the error as it is', async () => {
    const error = badRow();
    const folder = temporaryFolder();
    const options = tinyOptions({ save: { folder, every: null } });
    await expect(train({ ...options, batches: failingAt(0, options.batches, error) }).result).rejects.toBe(
      error,
    );
    expect(readdirSync(folder)).not.toContain('checkpoints');
    const plain = tinyOptions();
    await expect(train({ ...plain, batches: failingAt(3, plain.batches, error) }).result).rejects.toBe(error);
  });

  it.each([false, true])(
    'in the middle of an update saves nothing of it (aborted as well: %s)',
    async (isAborted) => {
      const folder = temporaryFolder();
      const controller = new AbortController();
      const options = tinyOptions({ save: { folder, every: 2 }, signal: controller.signal });
      const torn = new Error('torn');
      let updates = 0;
      const optimizer = withStep(options.optimizer, (update) => {
        options.optimizer.step(update);
        if (++updates < 4) return;
        if (isAborted) controller.abort();
        throw torn;
      });
      const error: unknown = await failureOf(train({ ...options, optimizer }));
      if (isAborted)
        expect(error).toMatchObject({
          code: 'ABORTED',
          details: { checkpoint: join(folder, 'checkpoints/step-2') },
        });
      else expect(error).toBe(torn);
      expect(checkpointsIn(folder)).toEqual(['step-2']);
    },
  );

  it('says where its checkpoint could not be written either', async () => {
    const folder = temporaryFolder();
    const options = tinyOptions({
      save: {
        folder,
        every: null,
        write: () => {
          throw new QdyloraError('WRITE_FAILED', {
            where: 'save',
            problem: 'The disk cannot be written: EIO',
          });
        },
      },
    });
    const failure = await failureOf(train({ ...options, batches: failingAt(2, options.batches, badRow()) }));
    expect([failure.code, failure.message]).toEqual([
      'BAD_DATA',
      expect.stringMatching(
        /The run ended after step 2; its checkpoint could not be written: \[save\] .*: EIO\.$/,
      ),
    ]);
  });

  it('of its last save does not save again', async () => {
    let saves = 0;
    const problem = new QdyloraError('WRITE_FAILED', {
      where: 'save',
      problem: 'The disk cannot be written: EIO',
    });
    await expect(
      tinyTrain({
        save: {
          folder: temporaryFolder(),
          every: null,
          write: () => {
            saves++;
            throw problem;
          },
        },
      }).result,
    ).rejects.toThrow('The disk cannot be written: EIO');
    expect(saves).toBe(1);
  });
});
