import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numbersOf } from '../../test/tiny-model.ts';
import { eventsOf, eventsOfType, tinyOptions, type TinyRunOptions } from '../../test/tiny-run.ts';
import { firstLossScale, nextLossScale, train, type LossScale, type LossScaling } from '../index.ts';

describe('the next loss scale', () => {
  it('is that of torch: the numbers of its test of _amp_update_scale_', () => {
    // test_grad_scaling_update_scale of torch's test_cuda.py: growth 2, backoff 0.25, interval 2, from 4
    const options = { growthFactor: 2, backoffFactor: 0.25, growthSteps: 2 };
    const scales: LossScale[] = [{ scale: 4, goodSteps: 0 }];
    for (const isFinite of [true, true, false]) scales.push(nextLossScale(scales.at(-1)!, isFinite, options));
    expect(scales.slice(1)).toEqual([
      { scale: 4, goodSteps: 1 },
      { scale: 8, goodSteps: 0 },
      { scale: 2, goodSteps: 0 },
    ]);
  });

  it('is 65536 at first, and grows after 2000 good steps, by default', () => {
    let scale = firstLossScale({});
    for (let step = 0; step < 1999; step++) scale = nextLossScale(scale, true, {});
    expect(scale).toEqual({ scale: 65536, goodSteps: 1999 });
    expect(nextLossScale(scale, true, {})).toEqual({ scale: 131072, goodSteps: 0 });
    expect(nextLossScale(scale, false, {})).toEqual({ scale: 32768, goodSteps: 0 });
  });

  it('stays finite and at least 1, and depends on the outcomes since the last change only', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 300, size: 'max' }),
        fc.integer({ min: 1, max: 5 }),
        (outcomes, growthSteps) => {
          let state = firstLossScale({});
          let exponent = 16;
          let good = 0;
          for (const isFinite of outcomes) {
            state = nextLossScale(state, isFinite, { growthSteps });
            good = isFinite ? good + 1 : 0;
            if (!isFinite) exponent = Math.max(0, exponent - 1);
            // float32 ends below 2^128
            else if (good === growthSteps && exponent < 127) exponent++;
            if (good === growthSteps) good = 0;
            expect(state).toEqual({ scale: 2 ** exponent, goodSteps: good });
          }
        },
      ),
    );
  });
});

it('a scale that begins below 1 stays there after a step that is not finite', () => {
  expect(nextLossScale({ scale: 0.25, goodSteps: 1 }, false, {})).toEqual({ scale: 0.25, goodSteps: 0 });
});

/** A gradient times so much has a sum of squares beyond float32, until three steps have made it smaller. */
const TOO_LARGE: LossScaling = { initialScale: 2 ** 88, backoffFactor: 2 ** -16, growthSteps: 2 };

const ranTo = async (options: TinyRunOptions) => {
  const built = tinyOptions(options);
  const weights = [numbersOf(built.adapted.parameters())];
  const run = train({
    ...built,
    onStep: () => {
      weights.push(numbersOf(built.adapted.parameters()));
    },
  });
  const events = await eventsOf(run);
  const result = await run.result;
  return { weights, events, result, steps: eventsOfType(events, 'step') };
};

describe('a run with loss scaling', () => {
  it('has the bits of one without it, where nothing overflows', async () => {
    for (const optimizerName of ['adamw_32bit', 'adamw_8bit', 'lion_8bit', 'sgd']) {
      const plain = await ranTo({ optimizerName });
      const scaled = await ranTo({ optimizerName, lossScaling: { growthSteps: 2 } });
      expect(scaled.weights).toEqual(plain.weights);
      expect(scaled.steps.map(({ lossScale }) => lossScale)).toEqual(
        [16, 16, 17, 17, 18, 18].map((exponent) => 2 ** exponent),
      );
      const numbers = ({ steps }: typeof plain): number[][] =>
        steps.map(({ loss, gradNorm, smoothedLoss }) => [loss, gradNorm, smoothedLoss]);
      expect(numbers(scaled)).toEqual(numbers(plain));
      expect(plain.steps.some((step) => 'lossScale' in step)).toBe(false);
    }
  });

  it('skips the steps whose gradient overflows: nothing changes, and the scale falls', async () => {
    const { weights, events, result, steps } = await ranTo({ lossScaling: TOO_LARGE, maxBadSteps: 1 });
    const scales = steps.map(({ lossScale }) => lossScale);
    const skipped = steps.filter(({ gradNorm }) => !Number.isFinite(gradNorm)).length;
    expect(skipped).toBeGreaterThan(0);
    expect(result.skippedSteps).toBe(skipped);
    expect(scales.slice(0, skipped + 1)).toEqual(
      Array.from({ length: skipped + 1 }, (_, i) => 2 ** (88 - 16 * i)),
    );
    for (let step = 1; step <= skipped; step++) expect(weights[step]).toEqual(weights[0]);
    expect(weights[skipped + 1]).not.toEqual(weights[0]);
    expect(steps.every(({ loss }) => Number.isFinite(loss))).toBe(true);
    const [first] = eventsOfType(events, 'warning');
    expect(first).toMatchObject({
      code: 'NON_FINITE_LOSS',
      message:
        `step 1 was skipped: its gradient overflowed at loss scale ${2 ** 88}; the next one has ` +
        `${2 ** 72}`,
    });
  });

  it('keeps its scale where the state of the optimizer is not finite', async () => {
    const built = tinyOptions({ lossScaling: {}, maxBadSteps: 3 });
    const scales: number[] = [];
    const run = train({
      ...built,
      onStep: ({ step, lossScale }) => {
        scales.push(lossScale!);
        if (step === 2)
          (built.optimizer.state().arrays.values().next().value!.peek() as Float32Array)[0] = NaN;
      },
    });
    await expect(run.result).rejects.toThrow(/the optimizer state is not finite/);
    expect(new Set(scales).size).toBe(1);
  });

  it('goes on with its scale where it resumes, and computes the same bits', async () => {
    const whole = await ranTo({ lossScaling: TOO_LARGE });
    const folder = temporaryFolder();
    const options = { lossScaling: TOO_LARGE, save: { folder, every: 1 } };
    const first = tinyOptions(options);
    await train({ ...first, onStep: ({ step }) => (step === 2 ? 'stop' : undefined) }).result;
    const resumed = await ranTo({ ...options, resume: 'latest' });
    const scalesFrom = ({ steps }: typeof whole) => steps.slice(-4).map(({ lossScale }) => lossScale);
    expect(scalesFrom(resumed)).toEqual(scalesFrom(whole));
    expect(resumed.weights.at(-1)).toEqual(whole.weights.at(-1));
  });

  it('backs off at the range of float16, where float32 goes on', async () => {
    const lossScaling = { initialScale: 2 ** 30 };
    const wide = await ranTo({ lossScaling, computeDtype: 'f32' });
    expect(wide.result.skippedSteps).toBe(0);
    const { result, steps, weights } = await ranTo({ lossScaling, computeDtype: 'f16', totalSteps: 30 });
    const scales = steps.map(({ lossScale }) => lossScale!);
    expect(result.skippedSteps).toBeGreaterThan(5);
    // each skipped step halves the scale and leaves the weights as they are
    for (const [i, { gradNorm }] of steps.entries()) {
      const isSkipped = !Number.isFinite(gradNorm);
      if (i + 1 < steps.length) expect(scales[i + 1]).toBe(isSkipped ? scales[i] / 2 : scales[i]);
      if (isSkipped) expect(weights[i + 1]).toEqual(weights[i]);
      else expect(weights[i + 1]).not.toEqual(weights[i]);
    }
    expect(steps.at(-1)!.gradNorm).toBeLessThan(Infinity);
  });

  it('in float16 resumes with its scale, and computes the same bits', async () => {
    const lossScaling = { initialScale: 2 ** 24, growthSteps: 2 };
    const common = { lossScaling, computeDtype: 'f16', totalSteps: 14 } as const;
    const whole = await ranTo(common);
    expect(whole.result.skippedSteps).toBeGreaterThan(1);
    expect(whole.result.skippedSteps).toBeLessThan(12);
    const save = { folder: temporaryFolder(), every: 1 };
    const first = tinyOptions({ ...common, save });
    await train({ ...first, onStep: ({ step }) => (step === 9 ? 'stop' : undefined) }).result;
    const resumed = await ranTo({ ...common, save, resume: 'latest' });
    expect(resumed.weights.at(-1)).toEqual(whole.weights.at(-1));
    expect(resumed.steps.map(({ lossScale }) => lossScale)).toEqual(
      whole.steps.slice(-resumed.steps.length).map(({ lossScale }) => lossScale),
    );
  });

  it.each([
    [{ initialScale: 0 }, 'initialScale'],
    [{ growthFactor: 1 }, 'growthFactor'],
    [{ backoffFactor: 1 }, 'backoffFactor'],
    [{ growthSteps: 1.5 }, 'growthSteps'],
    [{ scale: 2 }, 'scale'],
  ])('refuses %o', (lossScaling, name) => {
    expect(() => train(tinyOptions({ lossScaling: lossScaling as LossScaling }))).toThrow(
      expect.objectContaining({
        code: 'BAD_ARGUMENT',
        message: expect.stringContaining(`\`${name}\``) as string,
      }) as Error,
    );
  });
});
