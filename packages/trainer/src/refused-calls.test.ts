import { createHostBackend } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { tinyAdapted, tinyBatches, tinyModel } from '../test/tiny-model.ts';
import { tinyOptions } from '../test/tiny-run.ts';
import { adamw, lion, sgd, train, trainStep, type Optimizer } from './index.ts';

const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'BAD_ARGUMENT', message: expect.stringMatching(message) as string });

describe('what would train nothing, or something else, is refused:', () => {
  it('an adapter in place of one at a rank', async () => {
    const adapted = tinyAdapted();
    await expect(
      trainStep(
        adapted as never,
        tinyBatches().batchAt(0),
        adamw(adapted.parameters(), { learningRate: 1e-2 }),
      ),
    ).rejects.toThrow(
      refused(/this must be a model at a rank, .*\(got one without active\)\. Pass `adapted\.atRank\(8\)`/),
    );
  });

  it('an optimizer over the weights of another adapter', async () => {
    const model = tinyModel(createHostBackend());
    const first = tinyAdapted({}, model);
    const other = tinyAdapted({}, model);
    await expect(
      train({ ...tinyOptions(), model: first, optimizer: adamw(other.parameters(), { learningRate: 1e-2 }) })
        .result,
    ).rejects.toThrow(
      refused(/The optimizer has the parameter .*lora_A.*, which is not a parameter of the model/),
    );
  });

  it('an optimizer over weights of the base, which would train only some of them', async () => {
    const adapted = tinyAdapted();
    const trainable = new Set(adapted.parameters());
    const frozen = adapted.model.parameters().filter((parameter) => !trainable.has(parameter));
    expect(frozen.length).toBeGreaterThan(0);
    for (const base of frozen) {
      const optimizer = adamw([...trainable, base], { learningRate: 1e-2 });
      await expect(train({ ...tinyOptions(), model: adapted, optimizer }).result).rejects.toThrow(
        refused(new RegExp(`The optimizer has the parameter ${base.name} of the base, but`)),
      );
    }
  });

  it('a second step of one optimizer beside the first', async () => {
    const adapted = tinyAdapted();
    const batches = tinyBatches();
    const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2 });
    const step = (): Promise<unknown> => trainStep(adapted.atRank(4), batches.batchAt(0), optimizer);
    const [first, second] = await Promise.allSettled([step(), step()]);
    expect([first.status, second]).toEqual([
      'fulfilled',
      {
        status: 'rejected',
        reason: refused(/The optimizer's previous step has not ended yet\. Await each step/),
      },
    ]);
    await step();
  });

  it('a rate that the schedule does not have', async () => {
    for (const rate of [undefined, null, -1, NaN])
      await expect(
        train({ ...tinyOptions(), schedule: { warmupSteps: 0, at: () => rate as never } }).result,
        String(rate),
      ).rejects.toThrow(refused(/\[schedule\] The learning rate must be .* at step 0/));
  });

  it('steps without a token to learn from, when there have been none but such', async () => {
    const options = tinyOptions({ totalSteps: 20, maxBadSteps: 3 });
    const masked = {
      ...options.batches,
      batchAt: (step: number) =>
        options.batches
          .batchAt(step)
          .map((batch) => ({ ...batch, targets: batch.targets.map(() => -100), predictedTokens: 0 })),
    };
    await expect(train({ ...options, batches: masked }).result).rejects.toMatchObject({
      code: 'BAD_DATA',
      message: expect.stringMatching(/None of the first 3 steps had a token to learn from/) as string,
    });
  });

  it('an update without its factor, and after dispose the counts begin anew with the state', () => {
    for (const make of [adamw, lion, sgd] as ((
      parameters: ReturnType<ReturnType<typeof tinyAdapted>['parameters']>,
      options: { learningRate: number },
    ) => Optimizer)[]) {
      const adapted = tinyAdapted();
      const optimizer = make(adapted.parameters(), { learningRate: 1e-2 });
      optimizer.prepare(adapted.model.backend);
      expect(() => optimizer.step({ learningRate: 1e-2, rows: null } as never)).toThrow(
        refused(/gradientScale must be a finite number \(got nothing\)/),
      );
    }
    const adapted = tinyAdapted();
    const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2 });
    optimizer.prepare(adapted.model.backend);
    optimizer.step({ learningRate: 1e-2, gradientScale: 1, rows: null });
    optimizer.dispose();
    optimizer.prepare(adapted.model.backend);
    expect(optimizer.state().counts).toEqual({ rows: [], rest: 0 });
  });
});

it('a callback that throws nothing ends the events as it ends the run', async () => {
  const run = train({
    ...tinyOptions(),
    onStep: () => {
      throw undefined;
    },
  });
  const read = async (): Promise<void> => {
    for await (const event of run) void event;
  };
  await expect(read()).rejects.toBeUndefined();
});

it('a backend of another contract version is refused with both versions', () => {
  const backend = { ...createHostBackend(), contractVersion: 7 };
  const model = tinyModel(backend);
  const failure = { code: 'UNSUPPORTED', details: { backend: 'host', contractVersion: 7, supported: 1 } };
  expect(() => tinyAdapted({}, model)).toThrow(expect.objectContaining(failure));
  expect(() => train({ ...tinyOptions(), model })).toThrow(expect.objectContaining(failure));
});
