import { QdyloraError } from '@qdylora/contract';
import { badFile, printedName } from './bad-file.ts';
import { INDEX_LIMITS } from './json/json-limits.ts';
import { isRecord, kindOf, readJsonObject } from './json/read-json-file.ts';
import { pathInside } from './path-inside.ts';
import { MAX_TENSORS } from './safetensors/header-limits.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors/open-safetensors.ts';
import type { TensorEntry } from './tensor-entry.ts';

/** A checkpoint over several files: its tensors, and the files to close. */
export interface Shards {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly files: readonly SafetensorsFile[];
}

/** Every open shard holds a file descriptor; the largest known checkpoints have about 200. */
const MAX_SHARDS = 4096;

/**
 * Opens the shards that `model.safetensors.index.json` names, and finds every tensor of its `weight_map`.
 *
 * @throws QdyloraError MISSING_FILE for a shard that is not there; MISSING_TENSOR for a tensor that its shard lacks;
 * BAD_FILE for a damaged index or a shard outside the folder.
 */
export function openShards(folder: string, indexPath: string, followLinks = false): Shards {
  const weightMap = readWeightMap(indexPath);
  const files = new Map<string, SafetensorsFile>();
  try {
    const tensors = new Map<string, TensorEntry>();
    for (const [name, shard] of weightMap) {
      let file = files.get(shard);
      if (!file) files.set(shard, file = openSafetensors(pathInside(folder, shard, 'shard-index', followLinks)));
      const entry = file.tensors.get(name);
      if (!entry) throw missingTensor(indexPath, name, shard);
      tensors.set(name, entry);
    }
    return { tensors, files: [...files.values()] };
  } catch (error) {
    for (const file of files.values()) file.dispose();
    throw error;
  }
}

function readWeightMap(path: string): ReadonlyMap<string, string> {
  const bad = (problem: string) => badFile({ format: 'shard-index', path, problem });
  const weightMap = readJsonObject(path, 'shard-index', INDEX_LIMITS).weight_map;
  if (!isRecord(weightMap)) throw bad(`expected an object for weight_map, got ${kindOf(weightMap)}`);
  const names = Object.keys(weightMap);
  if (names.length > MAX_TENSORS) throw bad(`expected at most ${MAX_TENSORS} tensors, got ${names.length}`);
  const map = new Map<string, string>();
  for (const name of names) {
    const shard = weightMap[name];
    if (typeof shard !== 'string') throw bad(`expected a file name for ${printedName(name)}, got ${kindOf(shard)}`);
    map.set(name, shard);
  }
  const shards = new Set(map.values()).size;
  if (shards > MAX_SHARDS) throw bad(`expected at most ${MAX_SHARDS} shards, got ${shards}`);
  return map;
}

const missingTensor = (path: string, name: string, shard: string): QdyloraError => new QdyloraError('MISSING_TENSOR', {
  where: 'shard-index', problem: `${path}: expected ${printedName(name)} in ${printedName(shard)}, got a shard without it`,
  nextStep: 'Index and shards do not belong together. Download them again.', details: { path, tensor: name, shard },
});
