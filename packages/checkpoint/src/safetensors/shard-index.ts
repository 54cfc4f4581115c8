import { existsSync } from 'node:fs';
import { QdyloraError } from '@qdylora/contract';
import { badFile, printedName } from '../bad-file.ts';
import { INDEX_LIMITS } from '../json/json-limits.ts';
import { readJsonObject } from '../json/read-json-file.ts';
import { isRecord } from '../json/is-record.ts';
import { kindOf } from '../json/kind-of.ts';
import { pathInside } from '../path-inside.ts';
import { MAX_TENSORS } from './header-limits.ts';
import { openSafetensors, type SafetensorsFile } from './open-safetensors.ts';
import type { TensorEntry } from '../tensor-entry.ts';

/** A checkpoint in several files: its tensors, and the files to close. */
export interface Shards {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly files: readonly SafetensorsFile[];
}

/** Most shards: every open shard needs a file descriptor. The largest known checkpoints have about 200. */
const MAX_SHARDS = 4096;

/**
 * Opens the shards of `model.safetensors.index.json`, with all tensors that they contain, also those missing
 * from `weight_map`. If several shards contain a tensor, the last shard by name wins. This is the behavior of
 * transformers 5.24, which reads only the file names from the index. A tensor that is not in the shard named
 * by the index is refused.
 *
 * @throws QdyloraError MISSING_FILE for a missing shard; MISSING_TENSOR for a tensor missing from its shard;
 * BAD_FILE for a damaged index or a shard outside the folder.
 */
export function openShards(folder: string, indexPath: string, followLinks = false): Shards {
  const weightMap = readWeightMap(indexPath);
  const files = new Map<string, SafetensorsFile>();
  try {
    for (const shard of [...new Set(weightMap.values())].sort(byCodePoints)) {
      const path = pathInside(folder, shard, 'shard-index', followLinks);
      if (!existsSync(path)) throw missingShard(indexPath, shard);
      files.set(shard, openSafetensors(path));
    }
    for (const [name, shard] of weightMap)
      if (!files.get(shard)!.tensors.has(name)) throw missingTensor(indexPath, name, shard);
    const tensors = new Map<string, TensorEntry>();
    for (const file of files.values()) for (const [name, entry] of file.tensors) tensors.set(name, entry);
    return { tensors, files: [...files.values()] };
  } catch (error) {
    for (const file of files.values()) file.dispose();
    throw error;
  }
}

/** Compares texts in Python's order. */
const byCodePoints = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

function readWeightMap(path: string): ReadonlyMap<string, string> {
  const bad = (problem: string) => badFile({ format: 'shard-index', path, problem });
  const weightMap = readJsonObject(path, 'shard-index', INDEX_LIMITS).weight_map;
  if (!isRecord(weightMap)) throw bad(`weight_map must be an object (got ${kindOf(weightMap)})`);
  const names = Object.keys(weightMap);
  if (names.length > MAX_TENSORS) throw bad(`there are ${names.length} tensors, more than ${MAX_TENSORS}`);
  const map = new Map<string, string>();
  for (const name of names) {
    const shard = weightMap[name];
    if (typeof shard !== 'string')
      throw bad(`The shard of ${printedName(name)} must be a file name (got ${kindOf(shard)})`);
    map.set(name, shard);
  }
  const shards = new Set(map.values()).size;
  if (shards > MAX_SHARDS) throw bad(`there are ${shards} shards, more than ${MAX_SHARDS}`);
  return map;
}

const missingShard = (path: string, shard: string): QdyloraError =>
  new QdyloraError('MISSING_FILE', {
    where: 'shard-index',
    problem: `${path} names the shard ${printedName(shard)}, but the folder has no such file.`,
    nextStep: 'The download is not complete. Download the missing files.',
    details: { path, shard },
  });

const missingTensor = (path: string, name: string, shard: string): QdyloraError =>
  new QdyloraError('MISSING_TENSOR', {
    where: 'shard-index',
    problem:
      `${path}: the shard ${printedName(shard)} has no ${printedName(name)}, which the index ` +
      'places there.',
    nextStep: 'Index and shards do not belong together. Download them again.',
    details: { path, tensor: name, shard },
  });
