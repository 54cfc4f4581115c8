import { localWorld } from '@qdylora/collectives';
import { hostData, QdyloraError, type ArrayView } from '@qdylora/contract';
import { levelSampler, type Distillation, type LevelSampler } from '@qdylora/lora-dynamic';
import { dequantizeNf4, leveledWeight, moveToMemory, quantizeNf4, threeBitMatrix } from '@qdylora/quant';
import { isPacked, Linear } from '@qdylora/tensor';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { numbersOf, tinyAdapted, tinyBatch, tinyModel, type TinyModel } from '../../test/tiny-model.ts';
import { eventsOf, eventsOfType, tinyOptions, type TinyRunOptions } from '../../test/tiny-run.ts';
import { termsOf } from '../sharing/passes-of-worker.ts';
import { levelsOfStep, passesOfStep, train, type TrainEvent } from '../index.ts';

/** The tiny model with its two linear layers at the levels 3, 4 and 8. */
function leveledModel(): TinyModel {
  const model = tinyModel();
  const { memory } = model.backend;
  return model.withModules((layer) => {
    if (isPacked(layer.weight)) return layer;
    const data = hostData(layer.weight.view as ArrayView<'f32'>);
    const shape = [layer.outFeatures, layer.inFeatures] as const;
    const matrix = moveToMemory(quantizeNf4({ data, shape }), memory);
    const decoded = dequantizeNf4(matrix);
    const residual = quantizeNf4({ data: data.map((value, i) => value - decoded[i]), shape });
    const weight = leveledWeight(matrix, {
      threeBits: threeBitMatrix(matrix, data),
      residual: moveToMemory(residual, memory),
    });
    return new Linear(layer.name, weight, layer.bias);
  });
}

/** Steps (number, loss, level) and final numbers of a run over a new leveled model. */
async function outcomeOf(levels: LevelSampler | null, extra: TinyRunOptions = {}) {
  const options = tinyOptions({ base: leveledModel(), levels, ...extra });
  const events = await eventsOf(train(options));
  return { steps: stepsOf(events), numbers: numbersOf(options.adapted.parameters()) };
}

const stepsOf = (events: readonly TrainEvent[]) =>
  eventsOfType(events, 'step').map(({ step, loss, level, studentLevel }) => ({
    step,
    loss,
    level,
    studentLevel,
  }));

const HALF: Distillation = { weight: 0.5, topK: 4 };

it('all passes of a step are at its level, the same model at each time', () => {
  const adapted = tinyAdapted({}, leveledModel());
  for (const level of [3, 4, 8]) {
    const { passes } = passesOfStep(
      0,
      [tinyBatch(4), tinyBatch(2)],
      { model: adapted, sampler: null },
      { level },
    );
    expect(new Set(passes.map(({ view }) => view.model))).toEqual(
      new Set([adapted.atRank(1, { level }).model]),
    );
  }
});

it('each step has the level of its sampler, and levels change the losses', async () => {
  const sampler = levelSampler([3, 4, 8], { seed: 2 });
  const { steps } = await outcomeOf(sampler);
  const plain = await outcomeOf(null);
  expect(steps.map(({ level }) => level)).toEqual([0, 1, 2, 3, 4, 5].map((step) => sampler.levelAt(step, 0)));
  expect(steps.map(({ loss }) => loss)).not.toEqual(plain.steps.map(({ loss }) => loss));
  expect(plain.steps.every((step) => step.level === undefined)).toBe(true);
});

it('a run at level 4 alone has the bits of a run without levels', async () => {
  const plain = await outcomeOf(null);
  const four = await outcomeOf(levelSampler([4], { seed: 2 }));
  expect(four.numbers).toEqual(plain.numbers);
  expect(four.steps.map(({ loss }) => loss)).toEqual(plain.steps.map(({ loss }) => loss));
});

it('distilled levels add a pass that learns, at another level and the drawn rank', () => {
  const options = tinyOptions({ base: leveledModel(), distillation: HALF });
  const { adapted, sampler } = options;
  const levels = levelSampler([3, 4, 8], { seed: 2, schedule: 'distilled' });
  const seen = new Set<number>();
  for (let step = 0; step < 20; step++) {
    const levelsAt = levelsOfStep(levels, step);
    const { studentLevel } = levelsAt;
    const { passes } = passesOfStep(
      step,
      [tinyBatch(4), tinyBatch(2)],
      { model: adapted, sampler: sampler! },
      levelsAt,
    );
    const drawn = sampler!.rankAt(step);
    // one worker has all that learn from one pass
    expect(termsOf(passes)[0]).toEqual({ from: 0, to: studentLevel === 4 ? 2 : 3 });
    const further = studentLevel === 4 ? [] : [[drawn, studentLevel!]];
    const expected = [[4, 4], [1, 4], ...further, [drawn, 4]];
    expect(passes.map(({ view }) => [view.active!.rank, view.model])).toEqual(
      expected.map(([rank, at]) => [rank, adapted.atRank(1, { level: at }).model]),
    );
    // its gradient counts less
    expect(passes.map(({ weight = 1 }) => weight)).toEqual(expected.map(([, at]) => (at === 4 ? 1 : 0.3)));
    seen.add(studentLevel!);
  }
  expect([...seen].sort()).toEqual([3, 4, 8]);
});

it('the events of distilled levels name the other level, which wide steps do not have', async () => {
  const levels = levelSampler([3, 8], { seed: 2, schedule: 'distilled' });
  const adapter = { updateRule: 'prefix' } as const;
  const { steps } = await outcomeOf(levels, { adapter, distillation: HALF, wideSteps: 2 });
  expect(steps.every(({ level }) => level === 8)).toBe(true);
  const students = [0, 1, 2, 3, 4, 5].map((step) => levels.studentLevelAt!(step));
  expect(steps.map(({ studentLevel }) => studentLevel)).toEqual(
    students.map((level, step) => (step < 2 || level === 8 ? undefined : level)),
  );
});

it.each(['sampled', 'feedback', 'distilled'] as const)(
  'a resumed run with %s levels has the bits of a whole one',
  async (schedule) => {
    const levels = levelSampler([3, 4, 8], { seed: 2, schedule });
    const losses = [3, 4, 2, 5, 6, 7]; // evaluations 2, 4, 5 and 6 do not improve
    const evaluate = {
      every: 1,
      run: ({ step }: { step: number }) =>
        Promise.resolve({ byRank: [{ rank: 1, loss: losses[step - 1]! }] }),
    };
    const options = { evaluate, distillation: schedule === 'distilled' ? HALF : null };
    const whole = await outcomeOf(levels, options);
    const save = { folder: temporaryFolder() };
    const begin = await outcomeOf(levels, { ...options, save, totalSteps: 3 });
    const end = await outcomeOf(levels, { ...options, save, resume: 'latest' });
    expect([...begin.steps, ...end.steps]).toEqual(whole.steps);
    expect(end.numbers).toEqual(whole.numbers);
    if (schedule === 'feedback') expect(whole.steps.map(({ level }) => level)).toEqual([8, 8, 4, 4, 3, 3]);
  },
);

it('a best adapter that cannot be written lowers no level, and parts no workers', async () => {
  const levels = levelSampler([3, 4, 8], { seed: 2, schedule: 'feedback' });
  const losses = [6, 5, 5.5, 5.6, 5.7, 5.8];
  const evaluate = {
    every: 1,
    run: ({ step }: { step: number }) => Promise.resolve({ byRank: [{ rank: 1, loss: losses[step - 1]! }] }),
  };
  const failingSave = () => {
    let calls = 0;
    const writeBest = (at: string): void => {
      if (++calls === 2) throw new QdyloraError('WRITE_FAILED', { where: at, problem: 'The disk is full' });
    };
    return { folder: temporaryFolder(), every: null, writeBest };
  };
  const whole = await outcomeOf(levels, { evaluate, accumulate: 4 });
  expect(whole.steps.map(({ level }) => level)).toEqual([8, 8, 8, 4, 3, 3]);
  const save = failingSave();
  const alone = await outcomeOf(levels, { evaluate, accumulate: 4, save });
  expect(alone).toEqual(whole);
  const workers = await Promise.all(
    localWorld(2).map((world) =>
      outcomeOf(levels, { evaluate, accumulate: 4, workers: world, save: failingSave() }),
    ),
  );
  for (const outcome of workers) expect(outcome).toEqual(whole);
});

it('a run that resumes after its best adapter could not be written keeps its levels', async () => {
  const levels = levelSampler([3, 4, 8], { seed: 2, schedule: 'feedback' });
  const losses = [6, 5, 5.5, 5.6, 5.7, 5.8];
  const evaluate = {
    every: 1,
    run: ({ step }: { step: number }) => Promise.resolve({ byRank: [{ rank: 1, loss: losses[step - 1]! }] }),
  };
  const writeBest = (at: string): void => {
    throw new QdyloraError('WRITE_FAILED', { where: at, problem: 'The disk is full' });
  };
  const save = { folder: temporaryFolder(), writeBest };
  const begin = await outcomeOf(levels, { evaluate, save, totalSteps: 2 });
  const end = await outcomeOf(levels, { evaluate, save, resume: 'latest' });
  expect([...begin.steps, ...end.steps].map(({ level }) => level)).toEqual([8, 8, 8, 4, 3, 3]);
});

it('evaluations before the sort of the rows lower no level', async () => {
  const levels = levelSampler([3, 4, 8], { seed: 2, schedule: 'feedback' });
  const losses = [3, 4, 2, 5, 6, 7]; // evaluation 2 does not count
  const evaluate = {
    every: 1,
    run: ({ step }: { step: number }) => Promise.resolve({ byRank: [{ rank: 1, loss: losses[step - 1]! }] }),
  };
  const { steps } = await outcomeOf(levels, { evaluate, wideSteps: 3 });
  expect(steps.map(({ level }) => level)).toEqual([8, 8, 8, 8, 4, 3]);
});

it('levels that the model does not have, or that nothing would train, are refused', async () => {
  const levels = levelSampler([3, 4], { seed: 2 });
  expect(() => train(tinyOptions({ levels }))).toThrow(/3, 4 must be levels of the model \(it has none\)/);
  const feedback = levelSampler([3, 4], { seed: 2, schedule: 'feedback' });
  expect(() => train(tinyOptions({ base: leveledModel(), levels: feedback }))).toThrow(
    /follows the held-out loss, and nothing is evaluated/,
  );
  const distilled = levelSampler([3, 4], { seed: 2, schedule: 'distilled' });
  expect(() => train(tinyOptions({ base: leveledModel(), levels: distilled }))).toThrow(
    /in the passes that distil, and there are none/,
  );
});
