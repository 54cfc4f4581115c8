import type { ConfigReader } from '../config/config-reader.ts';
import type { GgufTensor } from './file/read-gguf.ts';

/** What the config of a GGUF model is made from. */
export interface GgufFacts {
  readonly path: string;
  readonly values: ConfigReader;
  /** The architecture's own key: `attention.head_count` → `llama.attention.head_count`. */
  readonly key: (name: string) => string;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Values of a small float tensor, undefined where the file has none of that name. */
  readonly readTensor: (name: string) => Float32Array | undefined;
}
