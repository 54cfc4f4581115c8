import { hfConfigOf, type TensorEntry } from '@qdylora/checkpoint';
import { sameShape } from '@qdylora/contract';
import { familyOf } from '../families/family-of.ts';
import { storedName } from './weight-entry.ts';
import type { WeightFiles } from './with-saved-weights.ts';

/** Bytes of either table that are read at a time to compare two. */
const BLOCK_BYTES = 2 ** 20;

/**
 * The same files, as transformers 5 reads a tied model:
 *
 * - Where they hold a head of their own, the config has an untied head. A copy of the embedding stays tied.
 * - Where they hold the head alone, it is the embedding (safetensors' `save_model` keeps either of the two).
 *
 * @throws UnsupportedArchitectureError; QdyloraError BAD_CONFIG, BAD_FILE
 */
export function withOwnHead<F extends WeightFiles>(files: F): F {
  const { config, tensors, name } = files;
  const family = familyOf(config.modelType, name);
  const { embedding, base, head } = family.names;
  if (!family.readConfig(config).tiedHead) return files;
  const storedHead = tensors.get(`${head}.weight`);
  const table = tensors.get(storedName(`${embedding}.weight`, base, files));
  if (storedHead && !table) {
    const renamed = new Map(
      [...tensors].map(([key, entry]) => [entry === storedHead ? `${embedding}.weight` : key, entry]),
    );
    return Object.create(files, { tensors: { value: renamed, enumerable: true } }) as F;
  }
  if (!storedHead || !table || !sameShape(storedHead.shape, table.shape) || isCopy(storedHead, table))
    return files;
  const untied = hfConfigOf(config.path, { ...config.raw, tie_word_embeddings: false }, config.rope.factors);
  return Object.create(files, { config: { value: untied, enumerable: true } }) as F;
}

/** Compares all bytes, as transformers does: in a tuned head, as few as one row may differ. */
function isCopy(a: TensorEntry, b: TensorEntry): boolean {
  if (a.dtype !== b.dtype || a.byteLength !== b.byteLength) return false;
  for (let at = 0; at < a.byteLength; at += BLOCK_BYTES) {
    const length = Math.min(BLOCK_BYTES, a.byteLength - at);
    if (!isSame(blockOf(a, at, length), blockOf(b, at, length))) return false;
  }
  return true;
}

function blockOf(entry: TensorEntry, at: number, length: number): Uint8Array {
  const block = new Uint8Array(length);
  entry.readInto(block, at);
  return block;
}

/** A loop: `every` takes six times as long (Node 20). */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
