import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import { createHostBackend, QdyloraError } from '@qdylora/contract';
import {
  createBatches,
  createChatTemplate,
  loadDataset,
  loadTokenizer,
  maskPreview,
  openDataset,
  readLabelledRows,
  type Example,
} from '@qdylora/data';
import { lossOver, perplexity, rankReport, sweepRanks } from '@qdylora/eval';
import { attachDyLora, levelSampler, rankSampler, rankSet } from '@qdylora/lora-dynamic';
import {
  buildModel,
  createDecodeEngine,
  generate,
  initializeModel,
  matrixQuantizer,
  shapeModel,
  shapeWeights,
} from '@qdylora/models';
import { temporaryFolder } from '@qdylora/testing/node';
import { adamw, createOptimizer, learningRateSchedule, lion, sgd, train, trainStep } from '@qdylora/trainer';
import { describe, expect, it } from 'vitest';
import { CHECKPOINT_CALLS, type Call, type Refused, type RefusedCalls } from './refused-checkpoint-calls.ts';

/**
 * Options that plain JavaScript would pass over in silence: misspelt names, and values of another kind. Each
 * is refused by its name, before anything is computed or written.
 */

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
const example: Example = { ids: Int32Array.of(1, 2, 3), labels: Int32Array.of(-100, 2, 3) };
const losses = { sums: Float64Array.of(1, 2), counts: Float64Array.of(1, 1) };
const fixture = fileURLToPath(new URL('../../models/fixtures/llama-tied', import.meta.url));
const tokenizerFiles = { tokenizerJson: {}, tokenizerConfig: null, chatTemplate: null };
const BATCHING = {
  microBatchSize: 1,
  gradientAccumulationSteps: 1,
  shuffle: true,
  seed: 7,
  packing: false,
  maxSeqLength: 8,
};
const TRAINING = {
  model: adapted,
  batches: createBatches([example], BATCHING),
  sampler: rankSampler(adapted.ranks, { seed: 1 }),
  totalSteps: 1,
  seed: 3,
  optimizer: adamw(adapted.parameters(), { learningRate: 1e-2 }),
  schedule: learningRateSchedule({ name: 'cosine', learningRate: 1e-2, totalSteps: 1 }),
};
const controller = new AbortController();

const QUANTIZATIONS: Refused[] = [
  [{ quantization: 'nf4' }],
  [{ quantization: {} }, 'kind'],
  [{ quantization: { kind: 'int4' } }, 'kind'],
  [{ quantization: { kind: 'nf4', double_quantization: true } }, 'double_quantization'],
  [{ quantization: { kind: 'nf4', doubleQuantization: 'false' } }, 'doubleQuantization'],
  [{ quantization: { kind: 'nf4', blockSize: '64' } }, 'blockSize'],
  [{ quantization: { kind: 'nf4', scaleRounding: 'up' } }, 'scaleRounding'],
];
const BACKENDS: Refused[] = [
  [{ backend: undefined }],
  [{ backend: Promise.resolve(backend) }],
  [{ backend: 'cpu' }],
];
const MEASURING: Refused[] = [
  [{ compute_dtype: 'f32' }],
  [{ computeDtype: 'float32' }],
  [{ signal: controller }],
  [{ onProgress: true }],
  [{ clock: 0 }],
];
const ROWS: Refused[] = [
  [{ max_seq_length: 512 }],
  [{ maxSeqLength: '512' }],
  [{ tokenizer: undefined }],
  [{ datasetFormat: 3 }],
  [{ weights: 2 }],
  [{ weights: ['2'] }],
  [{ onBadRow: true }],
  [{ completionOnlyLoss: 'false' }],
  [{ applyChatTemplate: 1 }],
  [{ heldOut: '0.1' }],
  [{ limit: '10' }],
  [{ seed: 0.5 }],
  [{ signal: controller }],
];

const TABLE: readonly RefusedCalls[] = [
  [
    'train',
    train as Call,
    TRAINING,
    [
      [{ max_grad_norm: 5 }],
      [{ earlyStoping: {} }],
      [{ onstep: () => {} }],
      [{ maxGradNorm: -1 }],
      [{ maxGradNorm: NaN }],
      [{ signal: controller }],
      [{ sampler: undefined }],
      [{ optimizer: undefined }],
      [{ schedule: 'cosine' }],
      [{ batches: [] }],
      [{ totalSteps: '3' }, 'max_steps'],
      [{ computeDtype: 'fp16' }],
      [{ onSave: 5 }],
      [{ save: { folder, evry: 2 } }, 'evry'],
      [{ save: { folder, every: '2' } }, 'save_steps'],
      [{ save: folder }],
      [{ save: { folder, write: '/tmp/x' } }, 'write'],
      [{ save: { folder, config: { seed: 7n } } }, 'config\\.seed'],
      [{ save: { folder, config: { delta: NaN } } }, 'config\\.delta'],
      [{ evaluate: { every: 5, evaluate: () => {} } }],
      [{ evaluate: { every: 1, run: () => {} }, earlyStopping: { on: 4, patiense: 1 } }, 'patiense'],
    ],
  ],
  [
    'adamw',
    (options) => adamw([], options),
    { learningRate: 1e-3 },
    [
      [{ weight_decay: 0.1 }],
      [{ bits: '8' }],
      [{ beta1: '0.9' }],
      [{ paging: { budget: 64 } }, 'budget'],
      [{ paging: { budgetBytes: '1KB', folder } }, 'budgetBytes'],
    ],
  ],
  ['lion', (options) => lion([], options), { learningRate: 1e-3 }, [[{ epsilon: 1e-8 }]]],
  ['sgd', (options) => sgd([], options), { learningRate: 1e-3 }, [[{ momentun: 0.9 }]]],
  [
    'createOptimizer',
    (options) => createOptimizer('sgd', [], options),
    { learningRate: 1e-3 },
    [[{ lr: 1 }]],
  ],
  [
    'learningRateSchedule',
    learningRateSchedule as Call,
    { name: 'cosine', learningRate: 1, totalSteps: 9 },
    [[{ warmup_steps: 5 }]],
  ],
  [
    'trainStep',
    (options) => trainStep(adapted.atRank(2), TRAINING.batches.batchAt(0), TRAINING.optimizer, options),
    {},
    [
      [{ lr: 5 }],
      [{ learningRate: -5 }],
      [{ rows: [[2, Infinity]] }],
      [{ rows: [[0, 99]] }],
      [{ rows: [[2, 1]] }],
      [{ rows: [[0, NaN]] }],
      [{ dropout: true }],
    ],
  ],
  [
    'buildModel',
    async (options) => buildModel(await openCheckpoint(fixture), options),
    { backend },
    [...BACKENDS, ...QUANTIZATIONS, [{ quantisation: {} }], [{ trainable: 'no' }], [{ onProgress: true }]],
  ],
  [
    'initializeModel',
    (options) => initializeModel(CONFIG, options),
    { backend },
    [...BACKENDS, [{ seed: '7' }], [{ name: 7 }], [{ sead: 7 }]],
  ],
  [
    'shapeModel',
    (options) => shapeModel(CONFIG, options),
    { backend },
    [
      ...BACKENDS,
      ...QUANTIZATIONS,
      [{ name: 7 }],
      [{ mostLayers: '1' }],
      [{ isPlain: true }],
      [{ dtype: 'f16' }],
      [{ dtypes: {} }],
    ],
  ],
  ['shapeWeights', shapeWeights as Call, {}, [...QUANTIZATIONS, [{ isPlain: true }]]],
  [
    'matrixQuantizer',
    ({ quantization }: { quantization: never }) => matrixQuantizer(backend, [8, 8], quantization),
    {},
    QUANTIZATIONS.slice(1),
  ],
  [
    'generate',
    (options) => generate({ model, active: null }, [1], options).next(),
    {},
    [
      [{ max_new_tokens: 5 }],
      [{ maxNewTokens: '5' }],
      [{ temperature: NaN }],
      [{ temperature: '0.7' }],
      [{ topK: 1.5 }],
      [{ topP: 90 }],
      [{ seed: '7' }],
      [{ stopIds: 2 }],
      [{ stopIds: [null] }],
      [{ computeDtype: 'float32' }],
      [{ signal: controller }],
    ],
  ],
  [
    'createDecodeEngine',
    (options) => createDecodeEngine(model, options as never),
    { capacityTokens: 8 },
    [
      [{ capacity_tokens: 8 }],
      [{ capacityTokens: 0 }],
      [{ maxRunning: 0 }],
      [{ maxWaiting: '5' }],
      [{ computeDtype: 'float32' }],
      [{ pause: 1 }],
    ],
  ],
  [
    'engine.decode',
    (options) =>
      createDecodeEngine(model, { capacityTokens: 8 }).decode({ model, active: null }, [1], options),
    {},
    [
      [{ max_new_tokens: 5 }],
      [{ maxNewTokens: '5' }],
      [{ repetitionPenalty: 0 }],
      [{ topLogProbabilities: true }],
      [{ scorePrompt: 'yes' }],
      [{ signal: controller }],
    ],
  ],
  ['loadDataset', (options) => loadDataset('rows.jsonl', options), { tokenizer: null }, ROWS],
  [
    'openDataset',
    (options) => openDataset('rows.jsonl', options),
    { tokenizer: null },
    [...ROWS, [{ measure: 'no' }], [{ onProgress: true }]],
  ],
  [
    'readLabelledRows',
    (options) => readLabelledRows('rows.jsonl', options).next(),
    { tokenizer: null },
    ROWS,
  ],
  [
    'createBatches',
    (options) => createBatches([example], options),
    BATCHING,
    [
      [{ shufle: true }],
      [{ shuffle: 'false' }],
      [{ microBatchSize: '4' }],
      [{ gradientAccumulationSteps: undefined }],
      [{ seed: undefined }],
      [{ packing: 0 }],
      [{ maxSeqLength: '8' }],
      [{ groupByLength: 'yes' }],
      [{ worker: '0' }],
      [{ workers: 0 }],
    ],
  ],
  [
    'loadTokenizer',
    loadTokenizer as Call,
    tokenizerFiles,
    [
      [{ tokenizer_config: {} }],
      [{ tokenizerJson: undefined }],
      [{ tokenizerConfig: '{}' }],
      [{ chatTemplate: {} }],
      [{ toolTemplate: 1 }],
      [{ specialTokens: '<s>' }],
    ],
  ],
  [
    'createChatTemplate',
    (options) => createChatTemplate('', options),
    {},
    [[{ variables: '<s>' }], [{ toolSource: 5 }], [{ date: '2024-07-26' }]],
  ],
  [
    'render',
    (options) => createChatTemplate('').render([], options),
    {},
    [[{ add_generation_prompt: true }], [{ addGenerationPrompt: 'false' }], [{ where: 3 }]],
  ],
  [
    'maskPreview',
    (options) => maskPreview(example, options),
    { tokenizer: { encode: () => [], decode: () => '' } },
    [[{ tokenizer: undefined }], [{ colour: true }], [{ color: 'red' }], [{ maxTokens: '5' }]],
  ],
  [
    'lossOver',
    (options) => lossOver(adapted.atRank(2), [example], options),
    {},
    [...MEASURING, [{ tokensPerBatch: '8' }]],
  ],
  ['measure', (options) => perplexity([example]).measure([adapted.atRank(2)], options), {}, MEASURING],
  ['perplexity', (options) => perplexity([example], options), {}, [[{ tokensPerBatch: '8' }]]],
  [
    'sweepRanks',
    (options) => sweepRanks((rank) => adapted.atRank(rank), [1, 2], perplexity([example]), options),
    {},
    [...MEASURING, [{ alpha: '0.05' }], [{ bases: null }]],
  ],
  [
    'rankReport',
    rankReport as Call,
    { task: 't', measured: [{ rank: 2, losses }], base: null },
    [
      [{ task: undefined }],
      [{ measured: undefined }],
      [{ base: undefined }],
      [{ alpha: 5 }],
      [{ adapterBytes: 5 }],
      [{ adapter_bytes: () => null }],
    ],
  ],
  [
    'attachDyLora',
    (options) => attachDyLora(model, options),
    { ranks: [1, 2] },
    [
      [{ lora_alpha: 64 }],
      [{ target_modules: ['q_proj'] }],
      [{ ranks: undefined }],
      [{ ranks: 5 }],
      [{ targetModules: 5 }],
      [{ targetModules: ['q_proj', 'k_porj'] }, 'k_porj'],
      [{ alpha: '16' }, 'lora_alpha'],
      [{ dropout: '0.1' }],
      [{ seed: 0.3 }],
    ],
  ],
  [
    'rankSampler',
    (options) => rankSampler(rankSet([1, 2]), options),
    { seed: 1 },
    [[{ seed: undefined }], [{ distrbution: 'uniform' }]],
  ],
  [
    'levelSampler',
    (options) => levelSampler([3, 4], options),
    { seed: 1 },
    [[{ seed: undefined }], [{ totalSteps: 1.5 }], [{ shedule: 'sampled' }]],
  ],
  ...CHECKPOINT_CALLS,
];

for (const [name, call, base, refused] of TABLE) {
  describe(`${name} refuses`, () => {
    it.each(refused as [object, string?][])('%o', async (options, option = Object.keys(options)[0]) => {
      const error: unknown = await Promise.resolve()
        .then(() => call({ ...base, ...options } as never))
        .then(
          () => 'nothing was refused',
          (thrown: unknown) => thrown,
        );
      expect(QdyloraError.isInstance(error) ? error.code : error).toBe('BAD_ARGUMENT');
      expect((error as QdyloraError).message).toMatch(new RegExp(`(?<!\\w)${option}(?!\\w)`));
    });
  });
}
