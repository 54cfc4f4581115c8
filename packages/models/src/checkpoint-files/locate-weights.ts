import { transposedEntry, type Checkpoint, type TensorEntry } from '@qdylora/checkpoint';
import { describeModel } from '../decoder/describe-model.ts';
import { familyOf } from '../families/family-of.ts';
import { assertNoOtherWeights } from './assert-no-other-weights.ts';
import { storedName, weightEntry } from './weight-entry.ts';

/** One weight of a model and its tensor in a checkpoint. */
export interface LocatedWeight {
  /** The family's name, whatever the file calls it. */
  readonly name: string;
  /**
   * A matrix that quantization packs. `entry` is then [out, in], even where the file has [in, out] (GPT-2).
   */
  readonly isLinear: boolean;
  readonly entry: TensorEntry;
  /** Element type in the file; the `entry` of a transposed matrix is float32. */
  readonly storedDtype: string;
}

/**
 * Finds the weights of a model in a checkpoint, in the order of its files, so that each file is read once.
 *
 * Other tensors of older files are left out: causal masks, inverse frequencies, a copy of a tied head.
 *
 * @throws UnsupportedArchitectureError; QdyloraError BAD_CONFIG, UNSUPPORTED, MISSING_TENSOR, BAD_SHAPE
 */
export function locateWeights(checkpoint: Pick<Checkpoint, 'name' | 'tensors' | 'config'>): LocatedWeight[] {
  const {
    config: { modelType, raw },
    name: where,
    tensors,
  } = checkpoint;
  const family = familyOf(modelType, where);
  const { weights, linears } = describeModel(raw, where);
  const linearNames = new Set(linears.map(({ name }) => `${name}.weight`));
  const order = new Map([...tensors.keys()].map((name, i) => [name, i]));
  assertNoOtherWeights(
    checkpoint,
    weights.map(({ name }) => name),
    family.names.base,
  );
  const located = weights.map(({ name, shape }) => {
    const entry = weightEntry(checkpoint, family.names.base, name, shape);
    const isLinear = linearNames.has(name);
    return {
      at: order.get(storedName(name, family.names.base, checkpoint))!,
      name,
      isLinear,
      storedDtype: entry.dtype,
      entry: isLinear && family.storesInOut ? transposedEntry(entry) : entry,
    };
  });
  return located.sort((a, b) => a.at - b.at).map(({ at: _, ...weight }) => weight);
}
