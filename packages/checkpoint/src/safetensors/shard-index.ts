import { QdyloraError } from '@qdylora/contract';
import { badFile, printedName } from '../bad-file.ts';
import { INDEX_LIMITS } from '../json/json-limits.ts';
import { isRecord, kindOf, readJsonObject } from '../json/read-json-file.ts';
import { pathInside } from '../path-inside.ts';
import { MAX_TENSORS } from './header-limits.ts';
import { openSafetensors, type SafetensorsFile } from './open-safetensors.ts';
import type { TensorEntry } from '../tensor-entry.ts';

/** A checkpoint over several files: its tensors, and the files to close. */
export interface Shards {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly files: readonly SafetensorsFile[];
}

/** Every open shard holds a file descriptor; the largest known checkpoints have about 200. */
const MAX_SHARDS = 4096;

/**
 * Opens the shards that `model.safetensors.index.json` names, and takes every tensor that they hold, also one
 * that its `weight_map` leaves out; one that several hold is that of the last of them by name. So
 * transformers (5.24) reads them, which takes from the index no more than the files' names. A tensor that the
 * index puts where it is not is refused all the same.
 *
 * @throws QdyloraError MISSING_FILE for a shard that is not there; MISSING_TENSOR for a tensor that its shard
 * lacks; BAD_FILE for a damaged index or a shard outside the folder.
 */
export function openShards(folder: string, indexPath: string, followLinks = false): Shards {
  const weightMap = readWeightMap(indexPath);
  const files = new Map<string, SafetensorsFile>();
  try {
    for (const shard of [...new Set(weightMap.values())].sort(byCodePoints))
      files.set(shard, openSafetensors(pathInside(folder, shard, 'shard-index', followLinks)));
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

/** Python's order of strings. */
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

const missingTensor = (path: string, name: string, shard: string): QdyloraError =>
  new QdyloraError('MISSING_TENSOR', {
    where: 'shard-index',
    problem:
      `${path}: the shard ${printedName(shard)} has no ${printedName(name)}, which the index ` +
      'places there.',
    nextStep: 'Index and shards do not belong together. Download them again.',
    details: { path, tensor: name, shard },
  });
