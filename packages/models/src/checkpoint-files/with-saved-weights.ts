import { hfConfigOf, type Checkpoint, type CheckpointConfig, type TensorEntry } from '@qdylora/checkpoint';
import { QdyloraError, sameShape, shapeText } from '@qdylora/contract';
import { describeModel } from '../builders/describe-model.ts';
import { familyOf } from '../families/family-of.ts';
import { storedName } from './weight-entry.ts';

/** What a model is built from: an open checkpoint, or these parts of one. */
export type WeightFiles = Pick<Checkpoint, 'name' | 'tensors' | 'config'>;

/** Weights that an adapter stores whole, in place of the base's: PEFT's `modules_to_save`. */
export interface SavedWeights {
  /** By the names of the base: `lm_head.weight`. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /**
   * Name endings of the modules that were copied for training. A weight outside of them was changed in place,
   * and a tied head with it.
   */
  readonly modulesToSave: readonly string[];
  /** A head that is tied in the base stays tied to the adapter's embedding. */
  readonly ensureWeightTying: boolean;
}

/**
 * A checkpoint with weights of an adapter in place of its own, as PEFT loads them: a copied head or
 * embedding is no longer tied, and the vocabulary has the adapter's size.
 *
 * @throws QdyloraError UNSUPPORTED for a linear layer, which would have to be packed; BAD_ADAPTER for weights
 * that the model does not have, or that have other shapes
 */
export function withSavedWeights<F extends WeightFiles>(
  files: F,
  saved: SavedWeights,
): Pick<F, 'name' | 'tensors' | 'config'> {
  const { name, config } = files;
  const { names } = familyOf(config.modelType, name);
  const head = `${names.head}.weight`;
  const newConfig = configWithSavedWeights(files, saved);
  const isTied = (of: CheckpointConfig): boolean => familyOf(of.modelType, name).readConfig(of).tiedHead;
  const tensors = new Map([...files.tensors, ...byBaseNames(saved, names.head).tensors]);
  if (isTied(newConfig)) tensors.delete(head);
  else if (isTied(config) && !tensors.has(head))
    tensors.set(head, files.tensors.get(storedName(`${names.embedding}.weight`, names.base, files))!);
  return { name, tensors, config: newConfig };
}

/**
 * The config of such a checkpoint, with the adapter's tie and vocabulary size; it needs no weights of the
 * base.
 *
 * @throws QdyloraError as `withSavedWeights` does
 */
export function configWithSavedWeights(
  { name: where, config }: Pick<WeightFiles, 'name' | 'config'>,
  savedWeights: SavedWeights,
): CheckpointConfig {
  const family = familyOf(config.modelType, where);
  const head = `${family.names.head}.weight`;
  const embedding = `${family.names.embedding}.weight`;
  const saved = byBaseNames(savedWeights, family.names.head);
  const isTied = family.readConfig(config).tiedHead && !unties(saved, [head, embedding]);
  const rows = saved.tensors.get(embedding)?.shape[0] ?? saved.tensors.get(head)?.shape[0];
  const raw = { ...config.raw, tie_word_embeddings: isTied, ...(rows !== undefined && { vocab_size: rows }) };
  checkSaved(where, raw, saved, isTied ? head : null);
  return hfConfigOf(config.path, raw, config.rope.factors);
}

/**
 * transformers 5's name for the head of every model, whatever its files call it (`embed_out` of GPT-NeoX).
 * Adapters have the names of modules.
 */
const HEAD_MODULE = 'lm_head';

function byBaseNames(saved: SavedWeights, head: string): SavedWeights {
  if (head === HEAD_MODULE) return saved;
  const tensors = new Map(
    [...saved.tensors].map(([name, entry]) => [
      name === `${HEAD_MODULE}.weight` ? `${head}.weight` : name,
      entry,
    ]),
  );
  return {
    ...saved,
    tensors,
    modulesToSave: saved.modulesToSave.map((name) => (name === HEAD_MODULE ? head : name)),
  };
}

/**
 * True if PEFT trained a copy of the head or embedding: the other end of the tie keeps the base's
 * weight.
 */
const unties = (
  { tensors, modulesToSave, ensureWeightTying }: SavedWeights,
  ends: readonly string[],
): boolean =>
  !ensureWeightTying &&
  ends.some(
    (name) => tensors.has(name) && modulesToSave.some((end) => `.${name}`.endsWith(`.${end}.weight`)),
  );

function checkSaved(
  where: string,
  raw: Readonly<Record<string, unknown>>,
  { tensors }: SavedWeights,
  tiedHead: string | null,
): void {
  const { weights, linears } = describeModel(raw, where);
  const shapes = new Map(weights.map(({ name, shape }) => [name, shape]));
  const packed = new Set(linears.map(({ name }) => `${name}.weight`));
  for (const [name, { shape }] of tensors) {
    const modelShape = shapes.get(name);
    if (packed.has(name)) {
      throw new QdyloraError('UNSUPPORTED', {
        where,
        problem: `The adapter stores the linear layer ${name} whole; only heads, embeddings and norms may be`,
        nextStep: 'Merge the adapter into its base model with PEFT, and open the result.',
        details: { name },
      });
    }
    if (name === tiedHead || (modelShape && sameShape(modelShape, shape))) continue;
    throw new QdyloraError('BAD_ADAPTER', {
      where,
      problem: modelShape
        ? `${name} of the adapter is ${shapeText(shape)}; the model needs ${shapeText(modelShape)}`
        : `The model has no weight ${name}, which the adapter stores`,
      nextStep: 'Use the base model that the adapter was trained on.',
      details: { name, shape },
    });
  }
}
