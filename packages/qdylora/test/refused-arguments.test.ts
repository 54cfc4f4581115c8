import {
  hfConfigOf,
  openCheckpoint,
  openSafetensors,
  parseHubName,
  readPeftAdapter,
  writeFolderAtomically,
  writePeftAdapter,
} from '@qdylora/checkpoint';
import { createHostBackend, createRng, QdyloraError } from '@qdylora/contract';
import {
  collate,
  createBatches,
  createChatTemplate,
  loadDataset,
  maskPreview,
  openDataset,
  sourceOf,
  splitIntoMicroBatches,
  type Example,
} from '@qdylora/data';
import {
  aurac,
  chooseRank,
  lossOver,
  perplexity,
  rankReport,
  sweepRanks,
  type ExampleLosses,
} from '@qdylora/eval';
import { attachDyLora } from '@qdylora/lora-dynamic';
import { buildModel, describeModel, generate, initializeModel, shapeModel } from '@qdylora/models';
import { inferenceContext } from '@qdylora/tensor';
import { temporaryFolder } from '@qdylora/testing/node';
import { adamw, openTensorboard } from '@qdylora/trainer';
import { expect, it } from 'vitest';

/**
 * Arguments of another kind, which plain JavaScript would compute with. Each call is refused and says why.
 */

/** What a program in plain JavaScript may give. */
type WrongArgument = never;

const CONFIG = {
  model_type: 'llama',
  vocab_size: 16,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 1,
};
const folder = temporaryFolder();
const backend = createHostBackend();
const model = initializeModel(CONFIG, { backend });
const adapted = attachDyLora(initializeModel(CONFIG, { backend }), { ranks: [1, 2] });
const view = adapted.atRank(2);
const example: Example = { ids: Int32Array.of(1, 2, 3), labels: Int32Array.of(-100, 2, 3) };
const examples = [example];
const task = perplexity(examples);
const losses: ExampleLosses = { sums: Float64Array.of(1, 2), counts: Float64Array.of(1, 1) };
const config = hfConfigOf('config.json', CONFIG);
const atRank = (rank: number) => adapted.atRank(rank);
const template = createChatTemplate('{{ messages | length }}');
const returning = (results: unknown) => ({
  name: 'own',
  measure: () => Promise.resolve(results as WrongArgument),
});
const BATCHING = {
  microBatchSize: 1,
  gradientAccumulationSteps: 1,
  shuffle: true,
  seed: 7,
  packing: false,
  maxSeqLength: 8,
};
const first = (from: unknown, prompt: unknown): unknown =>
  generate(from as WrongArgument, prompt as WrongArgument).next();

type Refusal = readonly [name: string, call: () => unknown, message: RegExp];

const VIEWS: Refusal[] = (
  [
    ['what attaching made', adapted, /without active.*`adapted\.atRank\(8\)`, `adapted\.base\(\)`/],
    ['a model', model, /without model/],
    ['a promise', Promise.resolve(view), /Await it first/],
    ['nothing', undefined, /nothing/],
  ] as const
).flatMap(([name, argument, message]): Refusal[] => [
  [`lossOver: ${name}`, () => lossOver(argument as WrongArgument, examples), message],
  [`measure: ${name}`, () => task.measure([argument as WrongArgument]), message],
  [`sweepRanks: ${name}`, () => sweepRanks(() => argument as WrongArgument, [1], task), message],
  [`generate: ${name}`, () => first(argument, [1]), message],
]);

const PROMPTS: Refusal[] = (
  [
    ['Hello', /tokenizer\.encode\(text\)/],
    [undefined, /nothing/],
    [[], /at least one token/],
    [[1, 16], /from 0 to 15 .*16 at 1/],
    [[-1], /-1 at 0/],
    [[0.5], /0\.5 at 0/],
    [['1'], /"1" at 0/],
    [BigInt64Array.of(1n), /1 at 0/],
  ] as const
).map(([prompt, message]): Refusal => [
  `generate after ${String(prompt)}`,
  () => first({ model, active: null }, prompt),
  message,
]);

const EXAMPLES: Refusal[] = (
  [
    ['plain arrays', [{ ids: [1, 2], labels: [1, 2] }], /ids of example 0.*Int32Array/],
    ['plain labels', [example, { ...example, labels: [1, 2, 3] }], /labels of example 1/],
    ['a promise', Promise.resolve(examples), /Await it first/],
    ['null among them', [null], /ids of example 0/],
    ['one example alone', example, /array of examples/],
    ['nothing', undefined, /array of examples/],
  ] as const
).flatMap(([name, argument, message]): Refusal[] => [
  [`collate: ${name}`, () => collate(argument as WrongArgument), message],
  [`lossOver: ${name}`, () => lossOver(view, argument as WrongArgument), message],
]);

const SOURCES: Refusal[] = (
  [
    ['a promise', Promise.resolve([]), /Await it first/],
    ['a whole dataset', { training: examples, heldOut: [] }, /dataset\.training/],
    ['nothing', undefined, /nothing/],
    ['an array of numbers', Int32Array.of(1), /Int32Array/],
    ['a source without at', { length: 3 }, /length, at and lengthAt/],
    ['a source of a length that is a text', { length: '3', at: () => example }, /length, at and lengthAt/],
  ] as const
).flatMap(([name, argument, message]): Refusal[] => [
  [`createBatches: ${name}`, () => createBatches(argument as WrongArgument, BATCHING), message],
  [`sourceOf: ${name}`, () => sourceOf(argument as WrongArgument), message],
]);

const CONFIGS: Refusal[] = (
  [
    ['nothing', undefined, /nothing/],
    ['a text', '{}', /Parse it first/],
    ['an opened config', config, /Give its raw/],
  ] as const
).flatMap(([name, argument, message]): Refusal[] => [
  [`describeModel: ${name}`, () => describeModel(argument as WrongArgument), message],
  [`initializeModel: ${name}`, () => initializeModel(argument as WrongArgument, { backend }), message],
  [`shapeModel: ${name}`, () => shapeModel(argument as WrongArgument, { backend }), message],
  [`hfConfigOf: ${name}`, () => hfConfigOf('config.json', argument as WrongArgument), message],
]);

const CHOICES: Refusal[] = (
  [
    ['one rank twice', [1, 2].map(() => ({ rank: 2, losses })), /2 twice/],
    ['plain arrays', [{ rank: 2, losses: { sums: [1], counts: [1] } }], /sums, counts/],
    ['a rank that is a text', [{ rank: '2', losses }], /losses must be/],
    ['nothing', undefined, /nothing/],
  ] as const
).flatMap(([name, argument, message]): Refusal[] => [
  [`chooseRank: ${name}`, () => chooseRank(argument as WrongArgument), message],
  [
    `rankReport: ${name}`,
    () => rankReport({ task: 't', measured: argument as WrongArgument, base: null }),
    /\[rank-report\]/,
  ],
]);

const PARTS: Refusal[] = [
  [],
  [{ until: 0, rank: 1 }],
  [
    { until: 5, rank: 1 },
    { until: 5, rank: 2 },
  ],
  [{ until: 5, rank: 1, weight: -1 }],
  [{ until: 2.5, rank: 1 }],
].map((parts): Refusal => [
  `parts ${JSON.stringify(parts)}`,
  () => adapted.atRanks(parts as WrongArgument),
  /\[atRanks\].*increase/,
]);

const SEEDS = [0.3, -1, NaN, 'abc', null, 2 ** 53].map((seed): Refusal => [
  `the seed ${String(seed)}`,
  () => createRng(seed as number),
  /seed/,
]);

const SINGLE: Refusal[] = [
  ['openCheckpoint', () => openCheckpoint(undefined as WrongArgument), /path of a folder/],
  ['openSafetensors', () => openSafetensors(undefined as WrongArgument), /path of a file/],
  ['readPeftAdapter', () => readPeftAdapter(undefined as WrongArgument), /path of an adapter's folder/],
  ['parseHubName', () => parseHubName(undefined as WrongArgument), /org\/name@revision/],
  [
    'writePeftAdapter',
    () => writePeftAdapter(undefined as WrongArgument, {} as WrongArgument),
    /path of a folder|layers/,
  ],
  [
    'writeFolderAtomically',
    () => writeFolderAtomically(folder, undefined as WrongArgument),
    /function that fills it/,
  ],
  [
    'a folder without path',
    () => writeFolderAtomically(undefined as WrongArgument, () => {}),
    /path of a folder/,
  ],
  ['buildModel of a path', () => buildModel('models/m' as WrongArgument, { backend }), /Open it first/],
  [
    'buildModel of a promise',
    () => buildModel(Promise.resolve() as WrongArgument, { backend }),
    /Await it first/,
  ],
  ['buildModel of nothing', () => buildModel(undefined as WrongArgument, { backend }), /nothing/],
  [
    'loadDataset of a URL',
    () => loadDataset(new URL('file:///r') as WrongArgument, { tokenizer: null }),
    /URL/,
  ],
  ['openDataset of numbers', () => openDataset([1] as WrongArgument, { tokenizer: null }), /\[1\]/],
  ['splitIntoMicroBatches', () => splitIntoMicroBatches(examples, '2' as WrongArgument), /microBatchSize/],
  ['no sequences', () => splitIntoMicroBatches(undefined as WrongArgument, 2), /array of examples/],
  ['maskPreview', () => maskPreview({ ids: [1], labels: [1] } as WrongArgument, { tokenizer: null }), /ids/],
  ['createChatTemplate', () => createChatTemplate(undefined as WrongArgument), /Jinja text/],
  ['render of a text', () => template.render('Hello' as WrongArgument), /\[\{ role: 'user'/],
  ['measure of one view', () => task.measure(view as WrongArgument), /into an array: \[view\]/],
  [
    'sweepRanks of an adapter',
    () => sweepRanks(adapted as WrongArgument, [1], task),
    /\(rank\) => adapted\.atRank/,
  ],
  [
    'sweepRanks at one rank',
    () => sweepRanks(atRank, 4 as WrongArgument, task),
    /adapted\.ranks, or \[1, 2, 4\]/,
  ],
  ['sweepRanks at texts', () => sweepRanks(atRank, ['1'] as WrongArgument, task), /whole numbers.*\["1"\]/],
  [
    'sweepRanks of examples',
    () => sweepRanks(atRank, [1], examples as WrongArgument),
    /perplexity\(examples\)/,
  ],
  ['a task of few results', () => sweepRanks(atRank, [1, 2], returning([losses])), /must return 3 results/],
  ['a task of no results', () => sweepRanks(atRank, [1], returning(undefined)), /nothing/],
  ['chooseRank at a text', () => chooseRank([{ rank: 2, losses }], '0.05' as WrongArgument), /"0\.05"/],
  ['adamw without options', () => adamw([], undefined as WrongArgument), /the options must be an object/],
  ['openTensorboard', () => openTensorboard(undefined as WrongArgument), /folder/],
  ['a step of TensorBoard', () => openTensorboard(folder).write(Infinity, { a: 1 }), /step.*Infinity/],
  [
    'a scalar of TensorBoard',
    () => openTensorboard(folder).write(1, { a: 'x' } as WrongArgument),
    /\{"a":"x"\}/,
  ],
  ['a task of too few results', () => sweepRanks(atRank, [1, 2], returning([losses, losses])), /return 3/],
  [
    'a task of too few results without a base',
    () => sweepRanks(atRank, [1, 2], returning([losses]), { base: null }),
    /return 2/,
  ],
];

const AXES = ['log', 'log10', undefined].map((axis): Refusal => [
  `aurac over ${axis}`,
  () => aurac([1, 2], [0, 1], axis as WrongArgument),
  /log2, linear/,
]);

const CAPACITIES = ['8', 0, 1.5, NaN, undefined].map((capacity): Refusal => [
  `a cache of ${capacity}`,
  () => model.createCache(capacity as WrongArgument),
  /capacity/,
]);

const STEP_OPTIONS = [{ hasCode: true }, { hasCodes: 1 }].map((options): Refusal => [
  `createLikeliestStep with ${JSON.stringify(options)}`,
  () => {
    using cache = model.createCache(4);
    return model.createLikeliestStep(inferenceContext(backend), cache, options as WrongArgument);
  },
  /hasCodes/,
]);

it.each([
  ...VIEWS,
  ...PROMPTS,
  ...EXAMPLES,
  ...SOURCES,
  ...CONFIGS,
  ...CHOICES,
  ...PARTS,
  ...SEEDS,
  ...SINGLE,
  ...AXES,
  ...CAPACITIES,
  ...STEP_OPTIONS,
])('%s is refused', async (_, call, message) => {
  const error: unknown = await Promise.resolve()
    .then(call)
    .then(
      () => 'nothing was refused',
      (thrown: unknown) => thrown,
    );
  expect(QdyloraError.isInstance(error) ? error.code : error).toBe('BAD_ARGUMENT');
  expect((error as QdyloraError).message).toMatch(message);
});
