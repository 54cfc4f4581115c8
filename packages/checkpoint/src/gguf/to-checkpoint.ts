import { basename, extname } from 'node:path';
import { badFile, printedName } from '../bad-file.ts';
import { checkpointOf, type Checkpoint } from '../checkpoint.ts';
import { hfConfigOf } from '../config/hf-config.ts';
import { openByteSource, type ByteSource } from '../read/byte-source.ts';
import type { TensorEntry } from '../tensor-entry.ts';
import { assertWholeModel } from './assert-whole-model.ts';
import {
  ggufArchitecture,
  huggingFacePlace,
  type GgufArchitecture,
  type HuggingFacePlace,
} from './architectures.ts';
import { oneLess, transposedEntry } from './changed-entry.ts';
import { ggufConfig, ggufFacts, metadataReader } from './gguf-config.ts';
import { ggufEntry } from './gguf-entry.ts';
import type { GgufFacts } from './gguf-facts.ts';
import { readGguf, type GgufFile, type GgufTensor } from './file/read-gguf.ts';
import { rowOrder } from './tensor-layout.ts';
import { ggufTokenizerFiles } from './tokenizer/gguf-tokenizer.ts';

/** The tensor of frequency divisors; in a Hugging Face checkpoint they are part of the config. */
const ROPE_FACTORS = 'rope_freqs.weight';
const IN_CONFIG: ReadonlySet<string> = new Set([
  ROPE_FACTORS,
  'rope_factors_long.weight',
  'rope_factors_short.weight',
]);

/** Largest number of divisors: half a head's size. A larger tensor of that name would only waste memory. */
const MAX_ROPE_FACTORS = 4096;

/**
 * Opens a GGUF file as if it were a Hugging Face checkpoint. Names, row order of fused and permuted matrices,
 * transposition, norms, config and tokenizer are translated; tensors stay packed until they are read.
 *
 * @throws QdyloraError BAD_FILE, MISSING_FILE, BAD_CONFIG, UNSUPPORTED_ARCHITECTURE, UNSUPPORTED.
 */
export function openGgufCheckpoint(path: string): Checkpoint {
  const source = openByteSource(path, 'gguf');
  try {
    const file = readGguf(source, { leavesOut: (key) => key.startsWith('tokenizer.') });
    assertWholeModel(path, file);
    const architecture = ggufArchitecture(path, file.metadata.get('general.architecture'));
    const facts = ggufFacts(path, file, (name) => readFactors(source, file, name));
    const config = hfConfigOf(path, ggufConfig(facts, architecture), facts.readTensor(ROPE_FACTORS));
    const tensors = translate(source, architecture, facts);
    return checkpointOf({
      name: basename(path, extname(path)),
      path,
      format: 'gguf',
      config: () => config,
      tensors: () => tensors,
      tokenizerFiles: ggufTokenizerFiles(path, () => metadataReader(path, readGguf(source).metadata)),
      generationConfig: () => null,
      close: source.close,
    });
  } catch (error) {
    source.close();
    throw error;
  }
}

function readFactors(source: ByteSource, { tensors }: GgufFile, name: string): Float32Array | undefined {
  const tensor = tensors.get(name);
  if (!tensor) return undefined;
  if (tensor.shape.length !== 1 || tensor.shape[0] > MAX_ROPE_FACTORS) {
    throw badFile({
      format: 'gguf',
      path: source.path,
      problem:
        `${printedName(name)} must be one list of at most ${MAX_ROPE_FACTORS} numbers (got ` +
        `[${tensor.shape.join(', ')}]).`,
      details: { tensor: name },
    });
  }
  return ggufEntry(source, tensor).readFloat32();
}

function translate(
  source: ByteSource,
  architecture: GgufArchitecture,
  facts: GgufFacts,
): Map<string, TensorEntry> {
  const entries = new Map<string, TensorEntry>();
  for (const tensor of facts.tensors.values()) {
    if (IN_CONFIG.has(tensor.name)) continue;
    const place = huggingFacePlace(source.path, architectureOf(architecture, facts), tensor.name);
    entries.set(place.name, entryAt(source, tensor, place, facts));
  }
  return entries;
}

function entryAt(
  source: ByteSource,
  tensor: GgufTensor,
  { name, layout }: HuggingFacePlace,
  facts: GgufFacts,
): TensorEntry {
  const entry = ggufEntry(source, tensor, { name, fileRowOf: rowOrder(tensor, layout, facts) });
  if (layout === 'one-more') return oneLess(entry);
  if (layout !== 'transposed') return entry;
  if (tensor.shape.length !== 2)
    throw badFile({
      format: 'gguf',
      path: source.path,
      problem: `${printedName(tensor.name)} must be a matrix (got [${tensor.shape.join(', ')}]).`,
      details: { tensor: tensor.name },
    });
  return transposedEntry(entry);
}

/** The architecture, with the name of Falcon's first norm in models with two norms. */
function architectureOf(architecture: GgufArchitecture, { tensors }: GgufFacts): GgufArchitecture {
  return tensors.has('blk.0.attn_norm_2.weight') && 'attn_norm_2' in architecture.inner
    ? { ...architecture, inner: { ...architecture.inner, attn_norm: 'ln_mlp' } }
    : architecture;
}
