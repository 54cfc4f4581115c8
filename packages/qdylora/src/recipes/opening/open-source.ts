import { createHash } from 'node:crypto';
import { canonicalJson, openSavedWeights, type CheckpointConfig } from '@qdylora/checkpoint';
import type { Backend } from '@qdylora/contract';
import type { Tokenizer } from '@qdylora/data';
import {
  buildModel,
  familyOf,
  initializeModel,
  withSavedWeights,
  type CausalLm,
  type LoadWorkers,
  type Quantization,
  type WeightFiles,
} from '@qdylora/models';
import type { RunConfig } from '../../config/resolve-run.ts';
import { missingKey } from '../../config/names/missing-key.ts';
import { localModel, type LocalModelOptions } from './local-model.ts';
import { quantizedFromOf, type BaseIdentity } from '../adapter/base-identity.ts';
import type { StoredTemplate } from '../adapter/adapter-sidecar.ts';
import { readAdapter, savedNotice, type AdapterSaved } from '../adapter/read-adapter.ts';
import { assertNotAborted } from '../run/steps/tell-abort.ts';
import { assertTokenizerFits, openBase, openTokenizer, readInitConfig } from './open-base.ts';

/**
 * The source of a run's weights: a checkpoint, or random numbers in the shape of a config. Holds nothing
 * large.
 */
export interface ModelSource extends BaseIdentity {
  readonly name: string;
  readonly config: CheckpointConfig;
  readonly vocabularySize: number;
  /** Ids that end a generated text, as the model's files name them. */
  readonly stopIds: readonly number[];
  /** Folder or file whose tokenizer belongs to the model. */
  readonly tokenizerFolder: string;
  /** In place of the chat template of that folder; null: that one. */
  readonly template: StoredTemplate | null;
  /**
   * Whole weights of an adapter that replace those of the model. They are not trained, and are written with
   * the new adapter.
   */
  readonly saved: AdapterSaved | null;
  /** Reads the tokenizer again at each call, so that its memory is free when the caller drops it. */
  openTokenizer(): Promise<Tokenizer | null>;
  /**
   * Loads the weights. Several workers share the quantizing.
   *
   * @throws QdyloraError ABORTED after the array during which `signal` fires, where the weights are read from
   * files
   */
  build(
    backend: Backend,
    options?: { readonly signal?: AbortSignal; readonly workers?: LoadWorkers | null },
  ): Promise<CausalLm>;
}

type SourceConfig = Pick<
  RunConfig,
  | 'model'
  | 'init'
  | 'adapter'
  | 'method'
  | 'quantization'
  | 'doubleQuantization'
  | 'quantizationBlockSize'
  | 'quantizationLevels'
  | 'seed'
>;

export interface OpenSourceOptions extends LocalModelOptions {
  /** Whole weights that replace the model's; by default those of `config.adapter`. */
  readonly saved?: AdapterSaved | null;
  /** In place of the chat template of the model. */
  readonly template?: StoredTemplate | null;
}

/**
 * Opens the source of the weights.
 *
 * @throws QdyloraError BAD_CONFIG without a model; UnsupportedArchitectureError; MISSING_FILE, BAD_FILE
 */
export async function openSource(
  config: SourceConfig,
  options: OpenSourceOptions = {},
): Promise<ModelSource> {
  return config.init ? randomSource(config.init, config, options) : checkpointSource(config, options);
}

const savedOf = (adapter: string | null): AdapterSaved | null =>
  adapter === null ? null : readAdapter(adapter).saved;

/** Calls `use` with the checkpoint, in which the whole weights of an adapter replace those of the model. */
async function withSaved<T>(
  files: WeightFiles,
  saved: AdapterSaved | null,
  use: (files: WeightFiles) => T | Promise<T>,
): Promise<T> {
  if (!saved) return await use(files);
  using savedWeights = openSavedWeights(saved.folder);
  return await use(withSavedWeights(files, { ...saved, tensors: savedWeights.tensors }));
}

async function checkpointSource(
  config: SourceConfig,
  { saved = savedOf(config.adapter), template = null, ...hub }: OpenSourceOptions,
): Promise<ModelSource> {
  if (!config.model) throw missingKey('model', 'Name the base model: --model path/to/folder.');
  const hasSaved = saved !== null && saved.names.length > 0;
  if (hasSaved) hub.tell?.(savedNotice(saved));
  const model = await localModel(config.model, hub);
  using base = await openBase(model);
  const { name } = base;
  const fingerprint = base.checkpoint.fingerprint();
  const modelConfig = await withSaved(base.checkpoint, saved, (files) => files.config);
  const { vocabularySize } = familyOf(modelConfig.modelType, name).readConfig(modelConfig);
  return {
    name,
    vocabularySize,
    fingerprint,
    quantizedFrom: quantizedFromOf(base.checkpoint.config.raw),
    config: modelConfig,
    tokenizerFolder: model,
    template,
    saved: hasSaved ? saved : null,
    stopIds: base.checkpoint.generation.eosTokenIds,
    openTokenizer: () => fittingTokenizer(model, vocabularySize, template),
    async build(backend, { signal, workers } = {}) {
      using again = await openBase(model);
      return await withSaved(again.checkpoint, saved, (files) =>
        buildModel(files, {
          backend,
          quantization: quantizationOf(config),
          trainable: config.method === 'none',
          workers,
          onProgress: () => assertNotAborted(signal, 'build-model'),
        }),
      );
    },
  };
}

async function randomSource(
  init: string,
  { model, seed }: SourceConfig,
  { template = null, tell, signal }: OpenSourceOptions,
): Promise<ModelSource> {
  const { config, folder } = readInitConfig(init);
  const { vocabularySize } = familyOf(config.modelType, init).readConfig(config);
  const tokenizerFolder = model ? await localModel(model, { tell, signal }) : folder;
  return {
    name: 'random',
    vocabularySize,
    config,
    tokenizerFolder,
    template,
    saved: null,
    stopIds: [],
    fingerprint: createHash('sha256')
      .update(canonicalJson({ config: config.raw, seed }))
      .digest('hex'),
    quantizedFrom: null,
    openTokenizer: () => fittingTokenizer(tokenizerFolder, vocabularySize, template),
    build: (backend) => Promise.resolve(initializeModel(config.raw, { backend, seed })),
  };
}

async function fittingTokenizer(
  folder: string,
  vocabularySize: number,
  template: StoredTemplate | null,
): Promise<Tokenizer | null> {
  const tokenizer = await openTokenizer(folder, template);
  assertTokenizerFits(tokenizer, vocabularySize, folder);
  return tokenizer;
}

export const quantizationOf = ({
  quantization,
  doubleQuantization,
  quantizationBlockSize,
  quantizationLevels,
}: Pick<
  RunConfig,
  'quantization' | 'doubleQuantization' | 'quantizationBlockSize' | 'quantizationLevels'
>): Quantization => ({
  kind: quantization,
  doubleQuantization,
  blockSize: quantizationBlockSize,
  levels: quantizationLevels,
});
