import {
  fetchConfig,
  fetchModel,
  hfConfigOf,
  openCheckpoint,
  writeFolderAtomically,
  writeGgufAdapter,
  writeGgufModel,
  writePeftAdapter,
  writeSafetensors,
  writeShards,
} from '@qdylora/checkpoint';
import { temporaryFolder } from '@qdylora/testing/node';

/** Options that are refused; the option's name is the first key unless it is given. */
export type Refused = readonly [options: object, name?: string];
export type Call = (options: never) => unknown;
/** A function, options that it takes, and what must be refused when it is added to them. */
export type RefusedCalls = readonly [name: string, call: Call, base: object, refused: readonly Refused[]];

const CONFIG = {
  model_type: 'llama',
  vocab_size: 16,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 1,
};
const folder = temporaryFolder();
const controller = new AbortController();
const config = hfConfigOf('config.json', CONFIG);
const layer = { name: 'layers.0.q_proj', a: Float32Array.of(1, 2), b: Float32Array.of(3, 4) };
const HUB: Refused[] = [
  [{ cacheFolder: undefined }],
  [{ endpoint: undefined }],
  [{ token: undefined }],
  [{ isOffline: 'true' }],
  [{ is_offline: true }],
  [{ onProgress: true }],
  [{ onNotice: true }],
  [{ signal: controller }],
  [{ fetch: 'node' }],
  [{ longestSilenceMs: '60' }],
  [{ sleep: 5 }],
];
const FILES: Refused[] = [[{ metadata: 'pt' }], [{ isSynced: 1 }], [{ fs: {} }], [{ meta_data: {} }]];

/** Functions that read, fetch and write checkpoints. */
export const CHECKPOINT_CALLS: readonly RefusedCalls[] = [
  [
    'openCheckpoint',
    (options) => openCheckpoint(folder, options),
    {},
    [[{ follow_links: true }], [{ followLinks: 'no' }]],
  ],
  ['fetchModel', (options) => fetchModel('org/name', options), hubOptions(), HUB],
  ['fetchConfig', (options) => fetchConfig('org/name', options), hubOptions(), HUB],
  [
    'writePeftAdapter',
    (options) => writePeftAdapter(`${folder}/out`, options),
    { layers: [layer], rank: 1, loraAlpha: 1, targetModules: ['q_proj'] },
    [
      [{ layers: undefined }],
      [{ layers: [{ ...layer, a: [1, 2] }] }, 'a of "layers'],
      [{ layers: [{ ...layer, b: undefined }] }, 'b of "layers'],
      [{ rank: '8' }],
      [{ rank: undefined }],
      [{ loraAlpha: '8' }],
      [{ loraAlpha: undefined }],
      [{ lora_alpha: 8 }],
      [{ alpha: 8 }],
      [{ scale: 2 }],
      [{ useRslora: 1 }],
      [{ use_rslora: true }],
      [{ fanInFanOut: 1 }],
      [{ targetModules: 'q_proj' }],
      [{ baseModel: 3 }],
      [{ sidecar: '{}' }],
      [{ rankPattern: { x: '1' } }],
      [{ alphaPattern: 1 }],
      [{ saved: {} }],
      [{ modulesToSave: 'lm_head' }],
      [{ ensureWeightTying: 1 }],
      [{ replace: 'yes' }],
      [{ fs: {} }],
    ],
  ],
  [
    'writeGgufAdapter',
    (options) => writeGgufAdapter(`${folder}/out`, options),
    { layers: [{ ...layer, rank: 1 }], scale: 1, config },
    [[{ layers: undefined }], [{ scale: undefined }], [{ config: {} }], [{ name: 3 }], [{ alpha: 8 }]],
  ],
  [
    'writeGgufModel',
    (options) => writeGgufModel(`${folder}/out`, options),
    { name: 'm', config, tensors: [], tokenizer: null, type: 'F32' },
    [
      [{ type: 'Q4_0' }],
      [{ name: undefined }],
      [{ config: CONFIG }],
      [{ tensors: undefined }],
      [{ tokenizer: undefined }],
      [{ types: 'F32' }],
    ],
  ],
  ['writeSafetensors', (options) => writeSafetensors(`${folder}/out`, [], options), {}, FILES],
  [
    'writeShards',
    (options) => writeShards(`${folder}/out`, [], options),
    {},
    [...FILES, [{ shardBytes: '5GB' }]],
  ],
  [
    'writeFolderAtomically',
    (options) => writeFolderAtomically(`${folder}/out`, () => {}, options),
    {},
    [[{ replace: 1 }], [{ known: {} }], [{ fs: {} }]],
  ],
];

function hubOptions() {
  return { cacheFolder: `${folder}/out`, endpoint: 'http://127.0.0.1:9', token: null, isOffline: true };
}
