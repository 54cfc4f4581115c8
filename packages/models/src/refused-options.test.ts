import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import { createHostBackend, QdyloraError } from '@qdylora/contract';
import { inferenceContext } from '@qdylora/tensor';
import { describe, expect, it } from 'vitest';
import {
  buildModel,
  describeModel,
  generate,
  initializeModel,
  matrixQuantizer,
  shapeModel,
  shapeWeights,
  type GenerateOptions,
} from './index.ts';

/** What a program in plain JavaScript may give. */
type Given = never;

const CONFIG = {
  model_type: 'llama',
  vocab_size: 16,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 1,
};
const backend = createHostBackend();
const model = initializeModel(CONFIG, { backend });
const view = { model, active: null };
using checkpoint = await openCheckpoint(fileURLToPath(new URL('../fixtures/llama-tied', import.meta.url)));

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

const QUANTIZATIONS: [object, string][] = [
  [{ quantization: 'nf4' }, 'an object as { kind: \'nf4\' } for quantization, got "nf4"'],
  [{ quantization: {} }, 'for kind, got nothing'],
  [{ quantization: { kind: 'nf4', double_quantization: true } }, 'Did you mean doubleQuantization?'],
  [{ quantization: { kind: 'int4' } }, 'one of none, nf4, fp4 for kind, got "int4"'],
  [{ quantization: { kind: 'nf4', doubleQuantization: 'false' } }, 'true or false for doubleQuantization'],
  [{ quantization: { kind: 'nf4', blockSize: '64' } }, 'a whole number ≥ 1 for blockSize'],
  [{ quantization: { kind: 'nf4', scaleRounding: 'up' } }, 'one of nearest, bitsandbytes for scaleRounding'],
];
const BACKENDS: [object, string][] = [
  [{ backend: Promise.resolve(backend) }, 'is a promise of a backend. Await it first'],
  [{ backend: 'cpu' }, 'for backend, got "cpu"'],
];

describe('a model', () => {
  it.each<[object, string]>([
    ...BACKENDS,
    ...QUANTIZATIONS,
    [{ backend: undefined }, 'for backend, got nothing'],
    [{ quantisation: { kind: 'none' } }, 'Did you mean quantization?'],
    [{ trainable: 'no' }, 'true or false for trainable'],
    [{ onProgress: true }, 'a function for onProgress'],
  ])('is not built with %j', async (more, message) => {
    expect(await refusal(() => buildModel(checkpoint, { backend, ...more } as Given))).toContain(message);
  });

  it.each<[unknown, string]>([
    ['models/smollm2', "Open it first: await openCheckpoint('models/smollm2')."],
    [Promise.resolve(checkpoint), '(got a promise). Await it first.'],
    [undefined, '(got nothing)'],
    [{ tensors: new Map() }, 'must be an open checkpoint'],
  ])('is not built from %j', async (files, message) => {
    expect(await refusal(() => buildModel(files as Given, { backend }))).toContain(message);
  });

  it.each<[object, string]>([
    ...BACKENDS,
    [{ backend: undefined }, 'for backend, got nothing'],
    [{ seed: '7' }, 'a whole number ≥ 0 for seed, got "7"'],
    [{ name: 7 }, 'a text for name'],
    [{ sead: 7 }, 'Did you mean seed?'],
  ])('is not made of random weights with %j', async (more, message) => {
    expect(await refusal(() => initializeModel(CONFIG, { backend, ...more } as Given))).toContain(message);
  });

  it.each<[object, string]>([
    ...BACKENDS,
    ...QUANTIZATIONS,
    [{ backend: undefined }, 'for backend, got nothing'],
    [{ name: 7 }, 'a text for name'],
    [{ mostLayers: '1' }, 'for mostLayers, got "1"'],
    [{ isPlain: true }, 'a function for isPlain'],
    [{ dtype: 'f16' }, 'one of f32, bf16 for dtype'],
    [{ dtypes: {} }, 'an object with get, has for dtypes'],
  ])('is not made of shapes with %j', async (more, message) => {
    expect(await refusal(() => shapeModel(CONFIG, { backend, ...more } as Given))).toContain(message);
    if ('quantization' in more || 'isPlain' in more)
      expect(await refusal(() => shapeWeights(more as Given))).toContain(message);
  });

  it.each<[unknown, string]>([
    [undefined, 'got nothing'],
    ['{}', 'Parse it first'],
    [checkpoint.config, 'Give its raw: checkpoint.config.raw.'],
  ])('is not known from what is no config.json', async (config, message) => {
    for (const call of [
      () => describeModel(config as Given),
      () => initializeModel(config as Given, { backend }),
      () => shapeModel(config as Given, { backend }),
    ])
      expect(await refusal(call)).toContain(message);
  });

  it('has no cache of a wrong capacity, and no step with an unknown option', async () => {
    for (const capacity of ['8', 0, 1.5, NaN, undefined])
      expect(await refusal(() => model.createCache(capacity as Given))).toContain(
        'the capacity in tokens must be a whole number of at least 1',
      );
    using cache = model.createCache(4);
    for (const more of [{ hasCode: true }, { hasCodes: 1 }])
      expect(
        await refusal(() => model.createLikeliestStep(inferenceContext(backend), cache, more as Given)),
      ).toMatch(/hasCodes/);
  });

  it.each(QUANTIZATIONS.slice(1))('has no matrix of %j', async (given, message) => {
    expect(
      await refusal(() =>
        matrixQuantizer(backend, 'nf4', [8, 8], (given as { quantization: Given }).quantization),
      ),
    ).toContain(message);
  });
});

describe('a text', () => {
  const first = (own: unknown, prompt: unknown, options: unknown): Promise<unknown> =>
    generate(own as typeof view, prompt as number[], options as GenerateOptions).next();

  it.each<[object, string]>([
    [{ max_new_tokens: 5 }, 'Did you mean maxNewTokens?'],
    [{ maxNewTokens: '5' }, 'a whole number ≥ 0 for maxNewTokens'],
    [{ temperature: NaN }, 'a number ≥ 0 for temperature, got NaN'],
    [{ temperature: '0.7' }, 'for temperature'],
    [{ topK: 1.5 }, 'for topK'],
    [{ topP: 90 }, 'a number ≥ 0 and ≤ 1 for topP'],
    [{ seed: '7' }, 'for seed'],
    [{ stopIds: 2 }, 'an array of ids for stopIds, got 2'],
    [{ stopIds: [null] }, 'an array of ids for stopIds, got [null]'],
    [{ computeDtype: 'float32' }, 'one of f32, bf16 for computeDtype'],
    [{ signal: new AbortController() }, 'of a controller its signal) for signal'],
  ])('is not written with %j', async (options, message) => {
    expect(await refusal(() => first(view, [1], options))).toContain(message);
  });

  it.each<[unknown, string]>([
    ['Hello', 'Give tokenizer.encode(text).'],
    [undefined, '(got nothing)'],
    [[], 'at least one token'],
    [[1, 16], 'must be below 16 (got 16 at 1)'],
    [[-1], 'got -1 at 0'],
    [[0.5], 'got 0.5 at 0'],
    [['1'], 'got "1" at 0'],
    [BigInt64Array.of(1n), 'got 1 at 0'],
  ])('is not written after %o', async (prompt, message) => {
    expect(await refusal(() => first(view, prompt, {}))).toContain(message);
  });

  it.each<[string, unknown, string]>([
    [
      'what attaching made',
      { model, atRank: () => view },
      'got one without active. Of an adapted model give adapted.atRank(8), or adapted.base()',
    ],
    ['a model', model, 'got an object without model'],
    ['a rank for the active one', { model, active: 8 }, 'got 8 for active'],
    ['a promise', Promise.resolve(view), 'got a promise. Await it first.'],
    ['nothing', undefined, 'got nothing'],
    ['an empty rank', { model, active: {} }, 'got {} for active'],
  ])('is not written by %s', async (_, own, message) => {
    expect(await refusal(() => first(own, [1], {}))).toContain(message);
  });
});
