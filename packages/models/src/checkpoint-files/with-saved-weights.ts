import { hfConfigOf, type Checkpoint, type CheckpointConfig, type TensorEntry } from '@qdylora/checkpoint';
import { QdyloraError, sameShape, shapeText } from '@qdylora/contract';
import { describeModel } from '../decoder/describe-model.ts';
import { familyOf } from '../families/family-of.ts';
import { isSameTensor } from './is-same-tensor.ts';
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
  /**
   * A head that is tied in the base stays tied to the adapter's embedding. It has an effect only if
   * `modulesToSave` has an `embed_tokens` or `lm_head`.
   */
  readonly ensureWeightTying: boolean;
}

/**
 * A checkpoint with weights of an adapter in place of its own, as PEFT loads them: a copied head or
 * embedding is no longer tied, and the vocabulary has the adapter's size.
 *
 * @throws QdyloraError UNSUPPORTED for a linear layer, which would have to be packed; BAD_ADAPTER for weights
 * that the model does not have, or that have other shapes, for two ends of a tie that differ, and for weights
 * of `modulesToSave` that are missing
 */
export function withSavedWeights<F extends WeightFiles>(
  files: F,
  saved: SavedWeights,
): Pick<F, 'name' | 'tensors' | 'config'> {
  const { name } = files;
  const { names } = familyOf(files.config.modelType, name);
  const head = `${names.head}.weight`;
  const { config, wasTied, isTied, saved: resolved } = resolveSaved(files, saved);
  const tensors = new Map([...files.tensors, ...resolved.tensors]);
  if (isTied) tensors.delete(head);
  else if (wasTied && !tensors.has(head))
    tensors.set(head, files.tensors.get(storedName(`${names.embedding}.weight`, names.base, files))!);
  return { name, tensors, config };
}

/**
 * The config of such a checkpoint, with the adapter's tie and vocabulary size; it needs no weights of the
 * base.
 *
 * @throws QdyloraError as `withSavedWeights` does
 */
export const configWithSavedWeights = (
  files: Pick<WeightFiles, 'name' | 'config'>,
  saved: SavedWeights,
): CheckpointConfig => resolveSaved(files, saved).config;

interface ResolvedWeights {
  readonly config: CheckpointConfig;
  readonly wasTied: boolean;
  readonly isTied: boolean;
  /** By the base's names; without a head if it is tied. */
  readonly saved: SavedWeights;
}

function resolveSaved(
  { name: where, config }: Pick<WeightFiles, 'name' | 'config'>,
  savedWeights: SavedWeights,
): ResolvedWeights {
  const family = familyOf(config.modelType, where);
  const head = `${family.names.head}.weight`;
  const embedding = `${family.names.embedding}.weight`;
  const named = byBaseNames(savedWeights, family.names.head);
  const wasTied = family.readConfig(config).tiedHead;
  const isTied = wasTied && !unties(named, [head, embedding]);
  // a tied head is no weight of the model, so `checkSaved` does not look for it
  const { tensors: stored, modulesToSave, ensureWeightTying } = named;
  if (wasTied && !ensureWeightTying && !stored.has(head) && isCopied(head, modulesToSave))
    throw missingWeight(where, head);
  const saved = isTied
    ? { ...named, tensors: withoutHead(where, named.tensors, { head, embedding }) }
    : named;
  const rows = (saved.tensors.get(embedding) ?? saved.tensors.get(head))?.shape[0];
  const raw = { ...config.raw, tie_word_embeddings: isTied, ...(rows !== undefined && { vocab_size: rows }) };
  checkSaved(where, raw, saved);
  return { config: hfConfigOf(config.path, raw, config.rope.factors), wasTied, isTied, saved };
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
    modulesToSave: saved.modulesToSave.flatMap((end) => (HEAD_MODULE.endsWith(end) ? [end, head] : [end])),
  };
}

/**
 * True if PEFT trained a copy of the head or embedding: the other end of the tie keeps the base's
 * weight.
 */
const unties = (
  { tensors, modulesToSave, ensureWeightTying }: SavedWeights,
  tiedWeights: readonly string[],
): boolean =>
  !(ensureWeightTying && modulesToSave.some((name) => KEEPS_TIE.test(name))) &&
  tiedWeights.some((name) => tensors.has(name) && isCopied(name, modulesToSave));

/** `EMBEDDING_LAYER_NAMES` of PEFT 0.21: the modules for which it honours `ensure_weight_tying`. */
const KEEPS_TIE = /(?:^|\.)(?:embed_tokens|lm_head)$/;

/** True if the name of the weight's module, or of a parent, ends in one of `endings`: PEFT's rule. */
const isCopied = (weight: string, endings: readonly string[]): boolean =>
  endings.some((ending) => weight.includes(`${ending}.`));

/** Weights of a model with a tied head: a saved head is its embedding. */
function withoutHead(
  where: string,
  tensors: SavedWeights['tensors'],
  { head, embedding }: { readonly head: string; readonly embedding: string },
): SavedWeights['tensors'] {
  const headTensor = tensors.get(head);
  if (!headTensor) return tensors;
  const embeddingTensor = tensors.get(embedding);
  if (embeddingTensor && !isSameTensor(headTensor, embeddingTensor))
    throw new QdyloraError('BAD_ADAPTER', {
      where,
      problem: `The model ties ${head} to ${embedding}, but the adapter stores two that differ`,
      nextStep: 'Use the base model that the adapter was trained on, or remove one of them from the adapter.',
      details: { head, embedding },
    });
  const others = [...tensors].filter(([name]) => name !== head);
  return new Map([...others, [embedding, embeddingTensor ?? headTensor]]);
}

function checkSaved(
  where: string,
  raw: Readonly<Record<string, unknown>>,
  { tensors, modulesToSave }: SavedWeights,
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
    if (modelShape && sameShape(modelShape, shape)) continue;
    throw new QdyloraError('BAD_ADAPTER', {
      where,
      problem: modelShape
        ? `${name} of the adapter is ${shapeText(shape)}; the model needs ${shapeText(modelShape)}`
        : `The model has no weight ${name}, which the adapter stores`,
      nextStep: 'Use the base model that the adapter was trained on.',
      details: { name, shape },
    });
  }
  const missing = weights.find(({ name }) => !tensors.has(name) && isCopied(name, modulesToSave))?.name;
  if (missing !== undefined) throw missingWeight(where, missing);
}

const missingWeight = (where: string, missing: string): QdyloraError =>
  new QdyloraError('BAD_ADAPTER', {
    where,
    problem: `modules_to_save names the module of ${missing}, but the adapter's file has no such weight`,
    nextStep: 'Config and weights do not belong together, or the adapter is damaged. Save it again.',
    details: { missing },
  });
