import { hfConfigOf } from '@qdylora/checkpoint';
import { sameShape } from '@qdylora/contract';
import { familyOf } from '../families/family-of.ts';
import { isSameTensor } from './is-same-tensor.ts';
import { storedName } from './weight-entry.ts';
import type { WeightFiles } from './with-saved-weights.ts';

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
  if (!storedHead || !table || !sameShape(storedHead.shape, table.shape)) return files;
  if (isSameTensor(storedHead, table)) return files;
  const untied = hfConfigOf(config.path, { ...config.raw, tie_word_embeddings: false }, config.rope.factors);
  return Object.create(files, { config: { value: untied, enumerable: true } }) as F;
}
