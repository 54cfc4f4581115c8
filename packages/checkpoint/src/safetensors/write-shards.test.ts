import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../open-checkpoint.ts';
import { NODE_FILE_SYSTEM, type FileSystem } from '../write/file-system.ts';
import { tensorOf } from './tensor-of.ts';
import { writeShards } from './write-shards.ts';

// 16 bytes each
const tensors = ['a', 'b', 'c', 'd'].map((name, i) => tensorOf(name, [4], Float32Array.of(i, 1, 2, 3)));

describe('a model in several files', () => {
  it('fills each file up to the limit, and reads back whole through the index', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'config.json'), '{"model_type":"llama"}');
    await writeShards(folder, tensors, { shardBytes: 40 });
    expect(readdirSync(folder).sort()).toEqual([
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ]);
    expect(JSON.parse(readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'))).toEqual({
      metadata: { total_size: 64 },
      weight_map: {
        a: 'model-00001-of-00002.safetensors',
        b: 'model-00001-of-00002.safetensors',
        c: 'model-00002-of-00002.safetensors',
        d: 'model-00002-of-00002.safetensors',
      },
    });
    using checkpoint = await openCheckpoint(folder);
    expect([...checkpoint.tensors.values()].map((entry) => entry.readFloat32()[0])).toEqual([0, 1, 2, 3]);
  });

  it('is one file without an index where it fits; a tensor above the limit has its own file', async () => {
    const whole = temporaryFolder();
    const cut = temporaryFolder();
    await writeShards(whole, tensors);
    expect(readdirSync(whole)).toEqual(['model.safetensors']);
    await writeShards(cut, tensors, { shardBytes: 1 });
    expect(readdirSync(cut).length).toBe(5);
  });

  it.each([
    [false, 0],
    [true, 10], // four files, their index, and the folder after each
  ])('with isSynced: %s calls fsync %i times', async (isSynced, expected) => {
    let syncs = 0;
    const fs: FileSystem = {
      ...NODE_FILE_SYSTEM,
      fsyncSync(fd) {
        syncs++;
        NODE_FILE_SYSTEM.fsyncSync(fd);
      },
    };
    await writeShards(temporaryFolder(), tensors, { shardBytes: 1, isSynced, fs });
    expect(syncs).toBe(expected);
  });
});
