import { hfConfigOf, type Checkpoint, type CheckpointConfig, type TensorEntry } from '@qdylora/checkpoint';
import { QdyloraError, sameShape, shapeText } from '@qdylora/contract';
import { describeModel } from '../build/describe-model.ts';
import { familyOf } from '../families/family-of.ts';
import { storedName } from './weight-entry.ts';

/** What a model is built from. */
export type WeightFiles = Pick<Checkpoint, 'name' | 'tensors' | 'config'>;

/** Weights that an adapter holds whole, in place of the base's. */
export interface SavedWeights {
  /** By the base's own names: `lm_head.weight`. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /**
   * Ends of the modules that were copied for training; a weight outside of them changed where it lay, and a
   * tied head with it.
   */
  readonly modulesToSave: readonly string[];
  /** A head that the base ties to its embedding stays tied to the adapter's. */
  readonly ensureWeightTying: boolean;
}

/**
 * A checkpoint with weights of an adapter in place of its own, as PEFT loads them: a copied head or embedding
 * is no longer tied, and a vocabulary that has grown is grown.
 *
 * @throws QdyloraError UNSUPPORTED for a linear layer, which would have to be packed; BAD_ADAPTER for weights
 * that the model does not have, or of other shapes
 */
export function withSavedWeights<F extends WeightFiles>(
  files: F,
  given: SavedWeights,
): Pick<F, 'name' | 'tensors' | 'config'> {
  const { name, config } = files;
  const { names } = familyOf(config.modelType, name);
  const head = `${names.head}.weight`;
  const own = configWithSavedWeights(files, given);
  const saved = byOwnNames(given, names.head);
  const isTied = (of: CheckpointConfig): boolean => familyOf(of.modelType, name).readConfig(of).tiedHead;
  const tensors = new Map([...files.tensors, ...saved.tensors]);
  if (isTied(own)) tensors.delete(head);
  else if (isTied(config) && !tensors.has(head))
    tensors.set(head, files.tensors.get(storedName(`${names.embedding}.weight`, names.base, files))!);
  return { name, tensors, config: own };
}

/**
 * What such a model's config says, for who has no weights: the tie and the vocabulary.
 *
 * @throws QdyloraError as `withSavedWeights` does
 */
export function configWithSavedWeights(
  { name: where, config }: Pick<WeightFiles, 'name' | 'config'>,
  given: SavedWeights,
): CheckpointConfig {
  const family = familyOf(config.modelType, where);
  const head = `${family.names.head}.weight`;
  const embedding = `${family.names.embedding}.weight`;
  const saved = byOwnNames(given, family.names.head);
  const isTied = family.readConfig(config).tiedHead && !unties(saved, [head, embedding]);
  const rows = saved.tensors.get(embedding)?.shape[0] ?? saved.tensors.get(head)?.shape[0];
  const raw = { ...config.raw, tie_word_embeddings: isTied, ...(rows !== undefined && { vocab_size: rows }) };
  checkSaved(where, raw, saved, isTied ? head : null);
  return hfConfigOf(config.path, raw, config.rope.factors);
}

/**
 * What transformers 5 calls every head, whatever files call it (`embed_out` of GPT-NeoX); adapters have the
 * names of modules.
 */
const HEAD_MODULE = 'lm_head';

function byOwnNames(saved: SavedWeights, head: string): SavedWeights {
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

/** PEFT trains a copy of a listed module, and the other end of the tie keeps the base's weight. */
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
    const own = shapes.get(name);
    if (packed.has(name)) {
      throw new QdyloraError('UNSUPPORTED', {
        where,
        problem:
          `expected a head, an embedding or norms among the weights that an adapter stores whole, ` +
          `got the linear layer ${name}`,
        nextStep: 'Merge the adapter into its base model with PEFT, and open the result.',
        details: { name },
      });
    }
    if (name === tiedHead || (own && sameShape(own, shape))) continue;
    throw new QdyloraError('BAD_ADAPTER', {
      where,
      problem:
        `expected ${own ? shapeText(own) : 'a model with this weight'} for ${name} of the adapter, ` +
        `got ${shapeText(shape)}`,
      nextStep: 'Use the base model that the adapter was trained on.',
      details: { name, shape },
    });
  }
}
