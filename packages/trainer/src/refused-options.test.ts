import { createHostBackend } from '@qdylora/contract';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { tinyAdapted, tinyBatches, tinyModel } from '../test/tiny-model.ts';
import { tinyOptions } from '../test/tiny-run.ts';
import {
  adamw,
  createOptimizer,
  learningRateSchedule,
  lion,
  openTensorboard,
  sgd,
  train,
  trainStep,
  type Optimizer,
} from './index.ts';

const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'BAD_ARGUMENT', message: expect.stringMatching(message) as string });
const folder = temporaryFolder();

describe('options that plain JavaScript would pass over are refused by name:', () => {
  it.each([
    [
      { max_grad_norm: 5 },
      /\[train\] expected a known option, got max_grad_norm\. Did you mean maxGradNorm\?/,
    ],
    [{ earlyStoping: {} }, /Did you mean earlyStopping\?/],
    [{ onstep: () => {} }, /Did you mean onStep\?/],
    [{ maxGradNorm: -1 }, /expected a number > 0, or null for maxGradNorm, got -1/],
    [{ maxGradNorm: NaN }, /for maxGradNorm, got NaN/],
    [{ signal: new AbortController() }, /expected an AbortSignal .* for signal/],
    [{ sampler: undefined }, /for sampler, got nothing/],
    [{ optimizer: undefined }, /for optimizer, got nothing/],
    [{ schedule: 'cosine' }, /expected an object with at for schedule, got "cosine"/],
    [{ batches: [] }, /expected an object with batchAt, epochAt for batches/],
    [{ totalSteps: '3' }, /\[max_steps\] it must be a whole number of at least 0 \(got "3"\)/],
    [{ computeDtype: 'fp16' }, /one of f32, bf16 for computeDtype/],
    [{ onSave: 5 }, /expected a function for onSave, got 5/],
    [
      { save: { folder, evry: 2 } },
      /\[train, save\] expected a known option, got evry\. Did you mean every\?/,
    ],
    [{ save: { folder, every: '2' } }, /\[save_steps\] it must be a whole number of at least 1 \(got "2"\)/],
    [{ save: folder }, /expected an object for save/],
    [{ save: { folder, write: '/tmp/x' } }, /expected a function for write/],
    [{ save: { folder, config: { seed: 7n } } }, /`config\.seed` must be a value that JSON has \(got 7\)/],
    [{ save: { folder, config: { delta: NaN } } }, /`config\.delta` must be .* \(got NaN\)/],
    [{ evaluate: { every: 5, evaluate: () => {} } }, /expected an object with run for evaluate/],
    [
      { evaluate: { every: 1, run: () => {} }, earlyStopping: { on: 4, patiense: 1 } },
      /Did you mean patience\?/,
    ],
  ])('train %o', (change, message) => {
    expect(() => train({ ...tinyOptions(), ...change } as never)).toThrow(refused(message));
  });

  it.each([
    [
      'adamw',
      () => adamw([], { learningRate: 1e-3, weight_decay: 0.1 } as never),
      /Did you mean weightDecay\?/,
    ],
    [
      'adamw bits',
      () => adamw([], { learningRate: 1e-3, bits: '8' as never }),
      /one of 8, 32 for bits, got "8"/,
    ],
    ['adamw beta1', () => adamw([], { learningRate: 1e-3, beta1: '0.9' as never }), /for beta1, got "0\.9"/],
    [
      'paging',
      () => adamw([], { learningRate: 1e-3, paging: { budget: 64 } as never }),
      /\[adamw, paging\] expected a known option, got budget\. The options are: budgetBytes,/,
    ],
    [
      'paging size',
      () => adamw([], { learningRate: 1e-3, paging: { budgetBytes: '1KB' as never, folder } }),
      /for budgetBytes, got "1KB"/,
    ],
    [
      'lion',
      () => lion([], { learningRate: 1e-3, epsilon: 1e-8 } as never),
      /expected a known option, got epsilon/,
    ],
    ['sgd', () => sgd([], { learningRate: 1e-3, momentun: 0.9 } as never), /Did you mean momentum\?/],
    [
      'createOptimizer',
      () => createOptimizer('sgd', [], { learningRate: 1e-3, lr: 1 } as never),
      /expected a known option, got lr/,
    ],
    [
      'a schedule',
      () =>
        learningRateSchedule({ name: 'cosine', learningRate: 1, totalSteps: 9, warmup_steps: 5 } as never),
      /Did you mean warmupSteps\?/,
    ],
    ['no options', () => adamw([], undefined as never), /expected an object of options, got nothing/],
    ['TensorBoard', () => openTensorboard(undefined as never), /the folder must be a text \(got nothing\)/],
    [
      'a step of TensorBoard',
      () => openTensorboard(folder).write(Infinity, { a: 1 }),
      /the step must be a whole number of at least 0 \(got Infinity\)/,
    ],
    [
      'a scalar of TensorBoard',
      () => openTensorboard(folder).write(1, { a: 'x' } as never),
      /numbers by tag \(got \{"a":"x"\}\)/,
    ],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(refused(message));
  });

  it.each([
    [{ lr: 5 }, /expected a known option, got lr/],
    [{ learningRate: -5 }, /for learningRate, got -5/],
    [{ rows: [[2, Infinity]] }, /rising ranges \[from, to\) within 0…4 for rows, got \[\[2,Infinity\]\]/],
    [{ rows: [[0, 99]] }, /for rows/],
    [{ rows: [[2, 1]] }, /for rows/],
    [{ rows: [[0, NaN]] }, /for rows/],
    [{ dropout: true }, /for dropout, got true/],
  ])('trainStep %o', async (options, message) => {
    const adapted = tinyAdapted();
    await expect(
      trainStep(
        adapted.atRank(4),
        tinyBatches().batchAt(0),
        adamw(adapted.parameters(), { learningRate: 1e-2 }),
        options as never,
      ),
    ).rejects.toThrow(refused(message));
  });
});

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
      refused(/expected a model at a rank, .* got one without active\. .* give adapted\.atRank\(8\)/),
    );
  });

  it('an optimizer over the weights of another adapter', async () => {
    const model = tinyModel(createHostBackend());
    const first = tinyAdapted({}, model);
    const other = tinyAdapted({}, model);
    await expect(
      train({ ...tinyOptions(), model: first, optimizer: adamw(other.parameters(), { learningRate: 1e-2 }) })
        .result,
    ).rejects.toThrow(refused(/the optimizer has a parameter, .*, that is not one of the model/));
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
        reason: refused(/the optimizer's previous step has not ended yet\. Await each step/),
      },
    ]);
    await step();
  });

  it('a rate that the schedule does not have', async () => {
    for (const rate of [undefined, null, -1, NaN])
      await expect(
        train({ ...tinyOptions(), schedule: { warmupSteps: 0, at: () => rate as never } }).result,
        String(rate),
      ).rejects.toThrow(refused(/\[schedule\] the learning rate must be .* at step 0/));
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
      message: expect.stringMatching(/none of the first 3 steps had a token to learn from/) as string,
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
        refused(/expected a number \(1 without clipping\) for gradientScale, got nothing/),
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
