import type { ConfigReader } from '../config/config-reader.ts';
import type { GgufTensor } from './file/read-gguf.ts';

/** The inputs from which the config of a GGUF model is made. */
export interface GgufFacts {
  readonly path: string;
  readonly values: ConfigReader;
  /** Prefixes a key: `attention.head_count` → `llama.attention.head_count`. */
  readonly key: (name: string) => string;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Values of a small float tensor; undefined if the file has none of that name. */
  readonly readTensor: (name: string) => Float32Array | undefined;
}
