import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkEarlyStopping,
  watchEvaluation,
  type EarlyStoppingOptions,
  type EarlyStoppingState,
} from './early-stopping.ts';

const evaluation = (step: number, value: number) => ({
  step,
  byRank: [
    { rank: 1, loss: 9 },
    { rank: 4, loss: value },
  ],
  aurac: value,
});
const watch = (options: EarlyStoppingOptions, values: readonly number[]): EarlyStoppingState =>
  values.reduce<EarlyStoppingState | null>(
    (state, value, i) => watchEvaluation(options, state, evaluation(i + 1, value)),
    null,
  )!;

describe('early stopping', () => {
  it(
    'has waited as long as the best value is old, for any values, and for a loss that falls as for an ' +
      'area that rises',
    () => {
      fc.assert(
        fc.property(
          fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 20 }),
          fc.boolean(),
          (values, isArea) => {
            const at = values.indexOf(isArea ? Math.max(...values) : Math.min(...values));
            expect(watch({ on: isArea ? 'aurac' : 4 }, values)).toEqual({
              on: isArea ? 'aurac' : 4,
              best: values[at], // the first of equals: Math.min of 0 and −0 is −0
              bestStep: at + 1,
              waited: values.length - 1 - at,
            });
          },
        ),
      );
    },
  );

  it(
    'does not take less than min_delta for an improvement, so that slow gains add up against the last ' +
      'best one',
    () => {
      expect(watch({ on: 4, minDelta: 0.5 }, [3, 2.75, 2.5])).toMatchObject({ best: 3, waited: 2 });
      expect(watch({ on: 4, minDelta: 0.5 }, [3, 2.75, 2.25])).toMatchObject({
        best: 2.25,
        bestStep: 3,
        waited: 0,
      });
    },
  );

  it('takes a loss that is no number for no improvement, and any number for one after it', () => {
    expect(watch({ on: 4 }, [2, NaN, NaN])).toMatchObject({ best: 2, waited: 2 });
    expect(watch({ on: 4 }, [NaN, NaN])).toMatchObject({ best: NaN, waited: 1 });
    expect(watch({ on: 4 }, [NaN, 7])).toMatchObject({ best: 7, bestStep: 2, waited: 0 });
    // a checkpoint stores infinity as NaN: both wait alike
    expect(watch({ on: 4 }, [Infinity, Infinity, Infinity])).toMatchObject({ waited: 2 });
    expect(watch({ on: 4 }, [NaN, Infinity, Infinity])).toMatchObject({ waited: 2 });
    expect(watch({ on: 4 }, [Infinity, 7])).toMatchObject({ best: 7, bestStep: 2, waited: 0 });
  });

  it('begins anew where another quantity was watched before', () => {
    expect(watchEvaluation({ on: 1 }, watch({ on: 4 }, [1, 2, 3]), evaluation(9, 5))).toEqual({
      on: 1,
      best: 9,
      bestStep: 9,
      waited: 0,
    });
  });

  it('refuses an evaluation without what is watched', () => {
    expect(() => watchEvaluation({ on: 8 }, null, evaluation(1, 1))).toThrow(
      /\[early_stopping\] The evaluation has no loss of rank 8; its ranks are 1, 4/,
    );
    expect(() => watchEvaluation({ on: 'aurac' }, null, { ...evaluation(1, 1), aurac: null })).toThrow(
      /area under the rank curve/,
    );
  });

  it.each([
    [{ on: 0 }, 'early_stopping'],
    [{ on: 'loss' }, 'early_stopping'],
    [{ on: 1, patience: 0 }, 'early_stopping_patience'],
    [{ on: 1, minDelta: -1 }, 'early_stopping_min_delta'],
    [{ on: 1, minDelta: NaN }, 'early_stopping_min_delta'],
  ])('refuses %j by name', (options, where) => {
    expect(() => checkEarlyStopping(options as never)).toThrow(`[${where}]`);
  });
});
