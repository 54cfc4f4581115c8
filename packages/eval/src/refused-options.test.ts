import { QdyloraError } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { tinyAdapted, tinyExamples } from '../test/tiny-model.ts';
import {
  aurac,
  chooseRank,
  lossOver,
  perplexity,
  rankReport,
  sweepRanks,
  type EvalTask,
  type EvalView,
  type ExampleLosses,
} from './index.ts';

/** What a program in plain JavaScript may give. */
type Given = never;

const adapted = tinyAdapted();
const examples = tinyExamples(4);
const view = adapted.atRank(2);
const task = perplexity(examples);
const atRank = (rank: number): EvalView => adapted.atRank(rank);
const losses: ExampleLosses = { sums: Float64Array.of(1, 2), counts: Float64Array.of(1, 1) };

async function refusal(call: () => unknown): Promise<string> {
  const error: unknown = await Promise.resolve()
    .then(call)
    .then(
      () => 'nothing was refused',
      (thrown: unknown) => thrown,
    );
  if (!QdyloraError.isInstance(error)) throw error;
  expect(error.code).toBe('BAD_ARGUMENT');
  return error.message;
}

const MEASURING: [object, string][] = [
  [{ compute_dtype: 'f32' }, 'Did you mean computeDtype?'],
  [{ computeDtype: 'float32' }, 'one of f32, bf16 for computeDtype'],
  [{ signal: new AbortController() }, 'of a controller its signal) for signal'],
  [{ onProgress: true }, 'a function for onProgress'],
  [{ clock: 0 }, 'a function for clock'],
];
const VIEWS: [string, unknown, string][] = [
  [
    'what attaching made',
    adapted,
    'got one without active. Of an adapted model give adapted.atRank(8), or adapted.base()',
  ],
  ['a model', adapted.model, 'got an object without model'],
  ['a promise', Promise.resolve(view), 'got a promise. Await it first.'],
  ['nothing', undefined, 'got nothing'],
];

describe('a loss', () => {
  it.each<[object, string]>([
    ...MEASURING,
    [{ tokensPerBatch: '8' }, 'a whole number ≥ 1 for tokensPerBatch, got "8"'],
  ])('is not measured with %j', async (options, message) => {
    expect(await refusal(() => lossOver(view, examples, options as Given))).toContain(message);
    expect(
      await refusal(() =>
        'tokensPerBatch' in options
          ? perplexity(examples, options as Given)
          : task.measure([view], options as Given),
      ),
    ).toContain(message);
  });

  it.each(VIEWS)('is not that of %s', async (_, given, message) => {
    for (const call of [
      () => lossOver(given as Given, examples),
      () => task.measure([given as Given]),
      () => sweepRanks(() => given as Given, [1], task),
      ...(given === undefined ? [] : [() => sweepRanks(atRank, [1], task, { base: given as Given })]),
    ])
      expect(await refusal(call)).toContain(message);
  });

  it.each<[string, unknown, string]>([
    ['plain arrays', [{ ids: [1, 2], labels: [1, 2] }], 'Int32Array.from(ids)'],
    ['a promise', Promise.resolve(examples), 'Await it first'],
    ['nothing', undefined, 'an array of examples, got nothing'],
  ])('is not taken over %s', async (_, given, message) => {
    expect(await refusal(() => lossOver(view, given as Given))).toContain(message);
  });

  it('is measured for an array of models, not for a single one', async () => {
    expect(await refusal(() => task.measure(view as Given))).toContain(
      'Put a single view into an array: [view].',
    );
  });
});

describe('a sweep', () => {
  it.each<[object, string]>([
    ...MEASURING,
    [{ alpha: '0.05' }, 'a number > 0 and < 1 for alpha'],
    [{ bases: null }, 'Did you mean base?'],
  ])('does not go over ranks with %j', async (options, message) => {
    expect(await refusal(() => sweepRanks(atRank, [1, 2], task, options as Given))).toContain(message);
  });

  it.each<[string, () => unknown, string]>([
    [
      'without a function',
      () => sweepRanks(adapted as Given, [1], task),
      'Give (rank) => adapted.atRank(rank).',
    ],
    ['over one rank alone', () => sweepRanks(atRank, 4 as Given, task), 'Give adapted.ranks, or [1, 2, 4].'],
    [
      'over ranks that are texts',
      () => sweepRanks(atRank, ['1'] as Given, task),
      'the ranks must be a list of whole numbers (got ["1"])',
    ],
    [
      'over examples in place of a task',
      () => sweepRanks(atRank, [1], examples as Given),
      'Give perplexity(examples).',
    ],
  ])('does not go %s', async (_, call, message) => {
    expect(await refusal(call)).toContain(message);
  });

  it('refuses a task that returns another number of results than models, or none', async () => {
    const returning = (results: unknown): EvalTask => ({
      name: 'own',
      measure: () => Promise.resolve(results as ExampleLosses[]),
    });
    expect(await refusal(() => sweepRanks(atRank, [1, 2], returning([losses, losses])))).toContain(
      'the task own must return 3 results, one for each view in their order (got 2)',
    );
    expect(await refusal(() => sweepRanks(atRank, [1, 2], returning([losses]), { base: null }))).toContain(
      'must return 2 results',
    );
    expect(await refusal(() => sweepRanks(atRank, [1], returning(undefined)))).toContain('(got nothing)');
  });

  it('tells its task only what belongs to measuring', async () => {
    let told: unknown;
    const spied: EvalTask = {
      ...task,
      measure: (views, options) => {
        told = options;
        return task.measure(views, options);
      },
    };
    // an iterator can be had only once
    await sweepRanks(atRank, [1, 2].values(), spied, { base: null, alpha: 0.1, computeDtype: 'f32' });
    expect(told).toEqual({ computeDtype: 'f32' });
  });
});

describe('a choice', () => {
  it.each<[string, unknown, string]>([
    [
      'one rank twice',
      [
        { rank: 2, losses },
        { rank: 2, losses },
      ],
      'each rank may occur once (got 2 twice)',
    ],
    [
      'losses that are plain arrays',
      [{ rank: 2, losses: { sums: [1], counts: [1] } }],
      'the losses must be an array of { rank, losses: { sums, counts } }',
    ],
    ['a rank that is a text', [{ rank: '2', losses }], 'the losses must be'],
    ['nothing', undefined, 'got nothing'],
  ])('is not made of %s', async (_, measured, message) => {
    expect(await refusal(() => chooseRank(measured as Given))).toContain(message);
    if (measured)
      expect(
        await refusal(() => rankReport({ task: 't', measured: measured as Given, base: null })),
      ).toContain('[rank-report] ');
  });

  it('has a level that is a number', async () => {
    expect(await refusal(() => chooseRank([{ rank: 2, losses }], '0.05' as Given))).toContain('(got "0.05")');
  });

  it.each<[object, string]>([
    [{ task: undefined }, 'a text for task, got nothing'],
    [{ measured: undefined }, 'for measured, got nothing'],
    [{ base: undefined }, 'for base, got nothing'],
    [{ alpha: 5 }, 'for alpha, got 5'],
    [{ adapterBytes: 5 }, 'a function for adapterBytes'],
    [{ adapter_bytes: () => null }, 'Did you mean adapterBytes?'],
  ])('is not reported of %j', async (more, message) => {
    expect(
      await refusal(() =>
        rankReport({ task: 't', measured: [{ rank: 2, losses }], base: null, ...more } as Given),
      ),
    ).toContain(message);
  });

  it.each(['log', 'log10', undefined])('has no area over the axis %s', async (axis) => {
    expect(await refusal(() => aurac([1, 2], [0, 1], axis as Given))).toContain(
      'the axis must be one of log2, linear',
    );
  });
});
