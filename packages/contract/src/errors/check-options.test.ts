import { describe, expect, it } from 'vitest';
import {
  abortSignal,
  anyValue,
  checkOptions,
  either,
  nearestName,
  numberWithin,
  objectWith,
  oneOf,
  orNull,
  QdyloraError,
  required,
  shownValue,
  someFunction,
  someText,
  trueOrFalse,
  wholeNumber,
  type OptionRules,
} from '../index.ts';
import { editDistance } from './nearest-name.ts';

/** This package knows no platform; tests run on one. */
const { AbortController: Controller } = globalThis as unknown as {
  AbortController: new () => { readonly signal: object };
};

interface Options {
  readonly learningRate: number;
  readonly warmupSteps?: number;
  readonly name?: string;
  readonly shuffle?: boolean;
  readonly bits?: 8 | 32;
  readonly onStep?: () => void;
  readonly signal?: object;
  readonly memory?: string | number | null;
  readonly batches?: object;
  readonly more?: unknown;
}

const RULES: OptionRules<Options> = {
  learningRate: required(numberWithin({ above: 0, most: 1 })),
  warmupSteps: wholeNumber(),
  name: someText,
  shuffle: trueOrFalse,
  bits: oneOf([8, 32]),
  onStep: someFunction,
  signal: abortSignal,
  memory: orNull(either(someText, wholeNumber(1))),
  batches: objectWith('batchAt'),
  more: anyValue,
};

function refusal(given: unknown): string | null {
  try {
    checkOptions('fit', given, RULES);
  } catch (error) {
    if (!QdyloraError.isInstance(error)) throw error;
    expect(error.code).toBe('BAD_ARGUMENT');
    return error.message;
  }
  return null;
}

describe('options of a function', () => {
  it('pass where each is of its kind, or left out', () => {
    for (const more of [
      {},
      { name: undefined },
      { memory: null },
      { memory: 3 },
      { memory: '3' },
      { signal: new Controller().signal },
      { batches: { batchAt() {} } },
      { bits: 8, shuffle: false, onStep() {}, more: Symbol('any'), warmupSteps: 0 },
    ])
      expect(refusal({ learningRate: 0.1, ...more })).toBeNull();
  });

  it.each([
    [
      undefined,
      '[fit] the options must be an object (got nothing). The options are: learningRate, warmupSteps,',
    ],
    [[1], '[fit] the options must be an object (got [1]).'],
    [{}, '[fit] `learningRate` is missing: it must be a number > 0 and ≤ 1.'],
    [{ learningRate: '0.1' }, '[fit] `learningRate` must be a number > 0 and ≤ 1 (got "0.1").'],
    [{ learningRate: NaN }, '(got NaN).'],
    [{ learningRate: 0 }, '(got 0).'],
    [{ learningRate: 2 }, '(got 2).'],
    [{ learningRate: Infinity }, '(got Infinity).'],
    [{ warmup_steps: 5 }, '[fit] there is no option `warmup_steps`. Did you mean `warmupSteps`?'],
    [{ shufle: true }, 'Did you mean `shuffle`?'],
    [{ zzzzzzzzzz: 1 }, 'there is no option `zzzzzzzzzz`. The options are: learningRate, warmupSteps,'],
    [
      { warmupSteps: 0.5 },
      '[fit] `warmupSteps` must be a whole number ≥ 0 (got 0.5). Correct it, or leave it out to get the ' +
        'default.',
    ],
    [{ warmupSteps: 2 ** 60 }, '`warmupSteps` must be a whole number ≥ 0 (got 1152921504606847000).'],
    [{ shuffle: 'false' }, '`shuffle` must be true or false (got "false").'],
    [{ shuffle: null }, '`shuffle` must be true or false (got null).'],
    [{ bits: '8' }, '`bits` must be one of 8, 32 (got "8").'],
    [{ onStep: 5 }, '`onStep` must be a function (got 5).'],
    [
      { signal: new Controller() },
      '`signal` must be an AbortSignal, such as `controller.signal` (got AbortController).',
    ],
    [{ memory: 0 }, '`memory` must be a string, or a whole number ≥ 1, or null (got 0).'],
    [{ batches: {} }, '`batches` must be an object with batchAt (got {}).'],
  ])('%j are refused by name', (given, message) => {
    const needed =
      given === undefined ||
      Array.isArray(given) ||
      Object.keys(given).length === 0 ||
      'learningRate' in given
        ? {}
        : { learningRate: 0.1 };
    expect(refusal(given === undefined || Array.isArray(given) ? given : { ...needed, ...given })).toContain(
      message,
    );
  });
});

describe('a value in a message', () => {
  const cycle: { own?: unknown } = {};
  cycle.own = cycle;
  it.each([
    ['3', '"3"'],
    [3, '3'],
    [NaN, 'NaN'],
    [{ a: Infinity, b: undefined, c: ['x', null] }, '{"a":Infinity,"c":["x",null]}'],
    [undefined, 'nothing'],
    [null, 'null'],
    [new Float32Array(3), 'Float32Array'],
    [7n, '7'],
    [cycle, '{"own":{"own":{"own":{"own":{…}}}}}'],
    [new Map(), 'Map'],
    [Object.create(null), '{}'],
    ['x'.repeat(200), `"${'x'.repeat(79)}…`],
  ])('%o reads %s', (value, text) => {
    expect(shownValue(value)).toBe(text);
  });

  it('is looked at no further than it is shown, and its getters are not asked', () => {
    let looks = 0;
    const one = {
      get secret() {
        looks++;
        return 1;
      },
      name: 'x',
    };
    const counted = new Proxy(
      {},
      {
        ownKeys: () => Array.from({ length: 1000 }, (_, i) => `key ${i}`),
        getPrototypeOf: () => Object.prototype,
        getOwnPropertyDescriptor() {
          looks++;
          return { enumerable: true, configurable: true, value: 'some value' };
        },
      },
    );
    expect([shownValue(one), looks]).toEqual(['{"secret":…,"name":"x"}', 0]);
    expect(shownValue(Array.from({ length: 100_000 }, () => counted))).toMatch(
      /^\[\{"key 0":"some value",.*…$/,
    );
    expect(looks).toBeLessThan(40);
  });
});

describe('a name', () => {
  it.each([
    ['learning_rat', 'learning_rate'],
    ['lora_rank', 'lora_r'],
    ['max_step', 'max_steps'],
    ['qqqqqqq', null],
  ])('%s is nearest to %s', (name, near) => {
    expect(nearestName(name, ['learning_rate', 'lora_r', 'max_steps', 'ranks'])).toBe(near);
  });

  it('is as far from another as the letters that must change', () => {
    expect([editDistance('kitten', 'sitting'), editDistance('', 'abc'), editDistance('abc', 'abc')]).toEqual([
      3, 3, 0,
    ]);
  });
});
