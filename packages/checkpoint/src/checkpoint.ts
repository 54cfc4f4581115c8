import { DisposedError } from '@qdylora/contract';
import { configReader } from './config/config-reader.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { CheckpointConfig } from './config/hf-config.ts';
import type { TensorEntry } from './tensor-entry.ts';
import { type TokenizerFiles } from './tokenizer/tokenizer-files.ts';
import { once } from './once.ts';

/** Ids of the tokens that begin, end and pad a text. */
export interface GenerationIds {
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | null;
  readonly padTokenId: number | null;
}

/**
 * An open model on disk. Opening reads only headers and the config; tensors, tokenizer and hashes are read on
 * request.
 */
export interface Checkpoint extends Disposable {
  /**
   * Short name without local paths: the name of the folder or file, or `org/name` inside the Hugging Face
   * cache.
   */
  readonly name: string;
  readonly path: string;
  readonly format: 'safetensors' | 'gguf';
  /**
   * The config. @throws QdyloraError MISSING_FILE if a single `.safetensors` file has no `config.json` beside
   * it.
   */
  readonly config: CheckpointConfig;
  /** All tensors by name. @throws QdyloraError MISSING_FILE if the folder has a config but no weights. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly tokenizerFiles: TokenizerFiles;
  /** Content of `generation_config.json`; null if there is none. */
  readonly generationConfig: Readonly<Record<string, unknown>> | null;
  /** Ids from `generation_config.json`, else from the config. @throws QdyloraError BAD_CONFIG. */
  readonly generation: GenerationIds;
  /**
   * SHA-256 over names, dtypes, shapes and the first and last 4 KiB of every tensor. It depends on the
   * weights, not on the names of their files.
   */
  fingerprint(): string;
  /** Closes the files; reading a tensor afterwards throws DisposedError. */
  dispose(): void;
}

export interface CheckpointParts {
  readonly name: string;
  readonly path: string;
  readonly format: 'safetensors' | 'gguf';
  readonly config: () => CheckpointConfig;
  readonly tensors: () => ReadonlyMap<string, TensorEntry>;
  readonly tokenizerFiles: TokenizerFiles;
  readonly generationConfig: () => Readonly<Record<string, unknown>> | null;
  readonly close: () => void;
}

/** Creates a checkpoint from its parts. */
export function checkpointOf({
  name,
  path,
  format,
  config,
  tensors,
  tokenizerFiles,
  generationConfig,
  close,
}: CheckpointParts): Checkpoint {
  const generation = once(() => generationIds(path, generationConfig(), config().raw));
  const fingerprint = once(() => fingerprintOf(tensors()));
  let isOpen = true;
  const dispose = (): void => {
    if (isOpen) close();
    isOpen = false;
  };
  return {
    name,
    path,
    format,
    tokenizerFiles,
    dispose,
    [Symbol.dispose]: dispose,
    get config() {
      return config();
    },
    get tensors() {
      if (!isOpen) throw new DisposedError('checkpoint');
      return tensors();
    },
    get generationConfig() {
      return generationConfig();
    },
    get generation() {
      return generation();
    },
    fingerprint,
  };
}

/** Each id from `generation_config.json`, else from `config.json`. */
function generationIds(
  path: string,
  generationConfig: Readonly<Record<string, unknown>> | null,
  config: Readonly<Record<string, unknown>>,
): GenerationIds {
  const values = configReader(path, {
    ...config,
    ...Object.fromEntries(Object.entries(generationConfig ?? {}).filter(([, value]) => value !== null)),
  });
  const single = (key: string): number | null => (values.has(key) ? values.integer(key) : null);
  const eos = values.raw.eos_token_id;
  const isList = Array.isArray(eos);
  if (isList && !eos.every(Number.isSafeInteger)) throw values.wrong('token ids', 'eos_token_id');
  const eosTokenIds = isList
    ? (eos as number[])
    : values.has('eos_token_id')
      ? [values.integer('eos_token_id')]
      : [];
  return { eosTokenIds, bosTokenId: single('bos_token_id'), padTokenId: single('pad_token_id') };
}
