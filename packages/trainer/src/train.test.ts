import { createRng } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { numbersOf, tinyBatches, tinyModel } from '../test/tiny-model.ts';
import { eventsOf, eventsOfType, tinyOptions, tinyTrain } from '../test/tiny-run.ts';
import { adamw, train, trainStep } from './index.ts';

describe('a run', () => {
  it('lowers the loss', async () => {
    const losses = eventsOfType(
      await eventsOf(tinyTrain({ totalSteps: 60, rankSchedule: 'all', adapter: {} })),
      'step',
    ).map(({ loss }) => loss);
    const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
    expect(mean(losses.slice(-12))).toBeLessThan(0.85 * mean(losses.slice(0, 12)));
  });

  it('tells the plan first, then every step from 1 on, then done', async () => {
    const events = await eventsOf(tinyTrain({ totalSteps: 3 }));
    expect(events.map(({ type }) => type)).toEqual(['plan', 'step', 'step', 'step', 'done']);
    expect(
      eventsOfType(events, 'step').map(({ step, epoch, learningRate }) => [step, epoch, learningRate]),
    ).toEqual([
      [1, 0, 0],
      [2, 0, 0.005],
      [3, 0, 0.01],
    ]);
    expect(eventsOfType(events, 'plan')[0]).toMatchObject({
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
    expect(eventsOfType(events, 'step').map(({ rank }) => rank)).toEqual(
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
    const loop = tinyOptions({ rankSchedule: 'one' });
    const rng = createRng(loop.seed).named('dropout');
    await train(options).result;
    for (let step = 0; step < loop.totalSteps; step++) {
      await trainStep(
        loop.adapted.atRank(loop.sampler!.rankAt(step)),
        loop.batches.batchAt(step),
        loop.optimizer,
        { learningRate: loop.schedule.at(step), rows: null, dropout: { rng, step } },
      );
    }
    expect(numbersOf(loop.adapted.parameters())).toEqual(numbersOf(options.adapted.parameters()));
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
    expect(eventsOfType(events, 'step').map(({ rank }) => rank)).toEqual([null, null]);
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

describe('a short last step', () => {
  it('is one optimizer step like any other', async () => {
    expect((await tinyTrain({ batches: tinyBatches(5, 2, 2), totalSteps: 4 }).result).step).toBe(4);
  });
});
