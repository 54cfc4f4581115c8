import { hfConfigOf, type TensorEntry } from '@qdylora/checkpoint';
import { sameShape } from '@qdylora/contract';
import { familyOf } from '../families/family-of.ts';
import { storedName } from './weight-entry.ts';
import type { WeightFiles } from './with-saved-weights.ts';

/**
 * Two tables are compared by this many pieces of this size, spread over them: training changes every row of a
 * head, so a few pieces show whether one is a copy of the other.
 */
const PIECES = 64;
const PIECE_BYTES = 4096;

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

function isCopy(a: TensorEntry, b: TensorEntry): boolean {
  if (a.dtype !== b.dtype) return false;
  const length = Math.min(PIECE_BYTES, a.byteLength);
  const last = a.byteLength - length;
  const piece = [new Uint8Array(length), new Uint8Array(length)] as const;
  for (let i = 0; i < PIECES; i++) {
    const at = Math.floor((last * i) / (PIECES - 1));
    a.readInto(piece[0], at);
    b.readInto(piece[1], at);
    if (!piece[0].every((byte, k) => byte === piece[1][k])) return false;
  }
  return true;
}
