import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import {
  fetchConfig,
  fetchModel,
  hfConfigOf,
  openCheckpoint,
  openSafetensors,
  parseHubName,
  readPeftAdapter,
  writeFolderAtomically,
  writeGgufAdapter,
  writeGgufModel,
  writePeftAdapter,
  writeSafetensors,
  writeShards,
} from './index.ts';

/** What a program in plain JavaScript may give. */
type Given = never;

const folder = temporaryFolder();
const out = join(folder, 'out');
const config = hfConfigOf('config.json', { model_type: 'llama' });
const layer = { name: 'layers.0.q_proj', a: Float32Array.of(1, 2), b: Float32Array.of(3, 4) };
const ADAPTER = { layers: [layer], rank: 1, loraAlpha: 1, targetModules: ['q_proj'] };

async function refusal(call: () => unknown): Promise<string> {
  const error: unknown = await Promise.resolve()
    .then(call)
    .then(
      () => 'nothing was refused',
      (thrown: unknown) => thrown,
    );
  if (!QdyloraError.isInstance(error)) throw error;
  expect(error.code).toBe('BAD_ARGUMENT');
  expect(readdirSync(folder)).toEqual([]); // nothing is written before
  return error.message;
}

it.each<[string, () => unknown, string]>([
  [
    'a checkpoint without its path',
    () => openCheckpoint(undefined as Given),
    'expected the path of a folder, a .safetensors or a .gguf file, got nothing',
  ],
  [
    'a checkpoint with an unknown option',
    () => openCheckpoint(folder, { follow_links: true } as Given),
    'Did you mean followLinks?',
  ],
  [
    'a checkpoint with a text for true',
    () => openCheckpoint(folder, { followLinks: 'no' } as Given),
    'true or false for followLinks',
  ],
  ['a file without its path', () => openSafetensors(undefined as Given), 'the path of a file, got nothing'],
  [
    'an adapter without its folder',
    () => readPeftAdapter(undefined as Given),
    "the path of an adapter's folder, got nothing",
  ],
  [
    'a model of the hub without its name',
    () => parseHubName(undefined as Given),
    'org/name@revision for a model on the hub, got nothing',
  ],
  [
    'a config without its content',
    () => hfConfigOf('config.json', undefined as Given),
    'the content of a config.json, an object, got nothing',
  ],
  ['a config that is a text', () => hfConfigOf('config.json', '{}' as Given), 'Parse it first'],
  ['a config in place of its content', () => hfConfigOf('config.json', config as Given), 'Give its raw'],
])('does not open %s', async (_, call, message) => {
  expect(await refusal(call)).toContain(message);
});

describe('an adapter', () => {
  it.each<[object, string]>([
    [{ layers: undefined }, 'a list for layers, got nothing'],
    [{ rank: '8' }, 'a whole number ≥ 1 for rank, got "8"'],
    [{ rank: undefined }, 'for rank, got nothing'],
    [{ loraAlpha: '8' }, 'a number for loraAlpha'],
    [{ alpha: 8 }, 'a known option, got alpha'],
    [{ loraAlpha: undefined }, 'for loraAlpha, got nothing'],
    [{ scale: 2 }, '`scale` is 2, but PEFT would use 1'],
    [{ useRslora: 1 }, 'true or false for useRslora'],
    [{ fanInFanOut: 1 }, 'for fanInFanOut'],
    [{ targetModules: 'q_proj' }, 'an array of texts for targetModules, got "q_proj"'],
    [{ baseModel: 3 }, 'a text for baseModel'],
    [{ sidecar: '{}' }, 'an object for sidecar'],
    [{ rankPattern: { x: '1' } }, 'numbers by name for rankPattern'],
    [{ alphaPattern: 1 }, 'numbers by name for alphaPattern'],
    [{ saved: {} }, 'an object with get, entries for saved'],
    [{ modulesToSave: 'lm_head' }, 'an array of texts for modulesToSave'],
    [{ ensureWeightTying: 1 }, 'for ensureWeightTying'],
    [{ replace: 'yes' }, 'for replace'],
    [{ fs: {} }, 'for fs'],
    [{ lora_alpha: 8, useRsLora: true }, 'a known option, got lora_alpha'],
    [{ use_rslora: true }, 'Did you mean useRslora?'],
    [
      { layers: [{ ...layer, a: [1, 2] }] },
      'expected a Float32Array or a TensorSource for a of "layers.0.q_proj", got [1,2]',
    ],
    [{ layers: [{ ...layer, b: undefined }] }, 'for b of "layers.0.q_proj", got nothing'],
    [{ layers: [null] }, 'for a of nothing'],
  ])('is not written with %j', async (more, message) => {
    expect(await refusal(() => writePeftAdapter(out, { ...ADAPTER, ...more } as Given))).toContain(message);
  });

  it('is not written nowhere', async () => {
    expect(await refusal(() => writePeftAdapter(undefined as Given, ADAPTER))).toContain(
      'the path of a folder, got nothing',
    );
  });

  it.each<[object, string]>([
    [{ layers: undefined }, 'for layers'],
    [{ scale: undefined }, 'a number for scale, got nothing'],
    [{ config: {} }, 'for config'],
    [{ name: 3 }, 'a text for name'],
    [{ alpha: 8 }, 'a known option, got alpha'],
  ])('is no GGUF file with %j', async (more, message) => {
    expect(
      await refusal(() =>
        writeGgufAdapter(out, { layers: [{ ...layer, rank: 1 }], scale: 1, config, ...more } as Given),
      ),
    ).toContain(message);
  });
});

describe('a model', () => {
  it.each<[object, string]>([
    [{ type: 'Q4_0' }, 'one of F32, F16, BF16, Q8_0 for type, got "Q4_0"'],
    [{ name: undefined }, 'a text for name'],
    [{ config: { model_type: 'llama' } }, 'for config'],
    [{ tensors: undefined }, 'a list for tensors'],
    [{ tokenizer: undefined }, 'an object, or null for tokenizer'],
    [{ types: 'F32' }, 'Did you mean type?'],
  ])('is no GGUF file with %j', async (more, message) => {
    expect(
      await refusal(() =>
        writeGgufModel(out, {
          name: 'm',
          config,
          tensors: [],
          tokenizer: null,
          type: 'F32',
          ...more,
        } as Given),
      ),
    ).toContain(message);
  });

  it.each<[object, string]>([
    [{ metadata: 'pt' }, 'an object for metadata'],
    [{ isSynced: 1 }, 'true or false for isSynced'],
    [{ fs: {} }, 'for fs'],
    [{ meta_data: {} }, 'Did you mean metadata?'],
  ])('is no safetensors file with %j', async (options, message) => {
    expect(await refusal(() => writeSafetensors(out, [], options as Given))).toContain(message);
    expect(await refusal(() => writeShards(out, [], options as Given))).toContain(message);
  });

  it('is not cut into shards of a size that is a text', async () => {
    expect(await refusal(() => writeShards(out, [], { shardBytes: '5GB' } as Given))).toContain(
      'a number > 0 for shardBytes, got "5GB"',
    );
  });
});

it.each<[string, () => unknown, string]>([
  ['a function', () => writeFolderAtomically(out, undefined as Given), 'a function that fills it'],
  ['a path', () => writeFolderAtomically(undefined as Given, () => {}), 'got nothing and'],
  [
    'a replace of true or false',
    () => writeFolderAtomically(out, () => {}, { replace: 1 } as Given),
    'for replace',
  ],
  [
    'known files by name',
    () => writeFolderAtomically(out, () => {}, { known: {} } as Given),
    'an object with get for known',
  ],
  ['a whole file system', () => writeFolderAtomically(out, () => {}, { fs: {} } as Given), 'for fs'],
])('no folder is filled without %s', async (_, call, message) => {
  expect(await refusal(call)).toContain(message);
});

it.each<[object, string]>([
  [{ cacheFolder: undefined }, 'a text for cacheFolder, got nothing'],
  [{ endpoint: undefined }, 'for endpoint'],
  [{ token: undefined }, 'a text, or null for token'],
  [{ isOffline: 'true' }, 'true or false for isOffline'],
  [{ is_offline: true }, 'Did you mean isOffline?'],
  [{ onProgress: true }, 'a function for onProgress'],
  [{ onNotice: true }, 'for onNotice'],
  [{ signal: new AbortController() }, 'of a controller its signal) for signal'],
  [{ fetch: 'node' }, 'for fetch'],
  [{ longestSilenceMs: '60' }, 'a number > 0 for longestSilenceMs'],
  [{ sleep: 5 }, 'for sleep'],
])('nothing comes from the hub with %j', async (more, message) => {
  const options = {
    cacheFolder: out,
    endpoint: 'http://127.0.0.1:9',
    token: null,
    isOffline: true,
    ...more,
  } as Given;
  for (const call of [() => fetchModel('org/name', options), () => fetchConfig('org/name', options)])
    expect(await refusal(call)).toContain(message);
});
