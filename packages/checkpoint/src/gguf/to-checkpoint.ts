import { basename, extname } from 'node:path';
import { checkpointOf, type Checkpoint } from '../checkpoint.ts';
import { badFile, printedName } from '../bad-file.ts';
import { hfConfigOf, type CheckpointConfig } from '../hf-config.ts';
import { openByteSource, type ByteSource } from '../safetensors/byte-source.ts';
import type { TensorEntry } from '../tensor-entry.ts';
import { ggufArchitecture, huggingFaceName, type GgufArchitecture } from './architectures.ts';
import { ggufConfig, metadataReader } from './gguf-config.ts';
import { ggufEntry } from './gguf-entry.ts';
import { readGguf, type GgufFile } from './read-gguf.ts';
import { ggufTokenizerFiles } from './tokenizer/tokenizer-files.ts';

/** Llama 3's frequency divisors lie in the file as a tensor; in a Hugging Face checkpoint they are part of the config. */
const ROPE_FACTORS = 'rope_freqs.weight';

/**
 * Opens a GGUF file as if it were a Hugging Face checkpoint: names, row order of q and k, config and tokenizer are translated; tensors stay packed
 * until they are read.
 *
 * @throws QdyloraError BAD_FILE, MISSING_FILE, BAD_CONFIG, UNSUPPORTED_ARCHITECTURE, UNSUPPORTED.
 */
export function openGgufCheckpoint(path: string): Checkpoint {
  const source = openByteSource(path, 'gguf');
  try {
    const file = readGguf(source), architecture = ggufArchitecture(path, file.metadata.get('general.architecture'));
    const factors = file.tensors.get(ROPE_FACTORS);
    const config = hfConfigOf(path, ggufConfig(path, file, architecture), factors && ggufEntry(source, factors, ROPE_FACTORS).readFloat32());
    const tensors = translate(source, file, architecture, config);
    return checkpointOf({
      name: basename(path, extname(path)), path, format: 'gguf', config: () => config, tensors: () => tensors,
      tokenizerFiles: ggufTokenizerFiles(path, metadataReader(path, file.metadata)), generationConfig: () => null, close: source.close,
    });
  } catch (error) {
    source.close();
    throw error;
  }
}

function translate(source: ByteSource, file: GgufFile, { interleavesQk }: GgufArchitecture, config: CheckpointConfig): Map<string, TensorEntry> {
  const entries = new Map<string, TensorEntry>();
  for (const tensor of file.tensors.values()) {
    if (tensor.name === ROPE_FACTORS) continue;
    const heads = !interleavesQk ? 0 : /\.attn_q\./.test(tensor.name) ? config.integer('num_attention_heads') : /\.attn_k\./.test(tensor.name) ? config.integer('num_key_value_heads') : 0;
    const rows = tensor.shape[0] ?? 0;
    if (heads > 0 && rows % (2 * heads) !== 0) throw badFile({ format: 'gguf', path: source.path, problem: `expected rows of ${heads} heads of an even size for ${printedName(tensor.name)}, got ${rows}`, details: { tensor: tensor.name } });
    const name = huggingFaceName(source.path, tensor.name);
    entries.set(name, ggufEntry(source, tensor, name, heads > 0 && rows > 0 ? interleavedRow(rows / heads) : undefined));
  }
  return entries;
}

/**
 * Where the converter put row r of q or k. Hugging Face rotates row i of a head with row i + headSize / 2; the file has such pairs side by side,
 * as rows 2i and 2i + 1.
 */
export function interleavedRow(headSize: number): (row: number) => number {
  const half = headSize / 2;
  return (row) => {
    const within = row % headSize;
    return row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
  };
}
