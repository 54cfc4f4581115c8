import {
  checkOptions,
  objectWith,
  oneOf,
  orNull,
  required,
  someText,
  type OptionRules,
} from '@qdylora/contract';
import type { CheckpointConfig } from '../../config/hf-config.ts';
import type { TokenizerFiles } from '../../tokenizer/tokenizer-files.ts';
import { anyIterable } from '../../write/option-rules.ts';
import type { Heads, Layout, RowOrder } from '../tensor-layout.ts';
import { fileRowOrder, reorderedRows, transposedValues } from './arranged-values.ts';
import { encodedBytes, type Arrange, type FloatValues } from './encoded-bytes.ts';
import { encodeValues, GGUF_WRITE_TYPES, type GgufWriteType } from './encode-values.ts';
import { ggufArchitectureOf, ggufPlace, type GgufPlace } from './gguf-place.ts';
import type { MetadataToWrite } from './metadata-value.ts';
import { headsOf, modelMetadata, ropeFactors } from './model-metadata.ts';
import { tokenizerMetadata } from './tokenizer-metadata.ts';
import { writeGguf, type GgufTensorToWrite } from './write-gguf.ts';

/** A weight by its Hugging Face name; `values` is called when it is written. */
export interface ModelTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Row-major, or a source of dtype F32. */
  readonly values: () => FloatValues | Promise<FloatValues>;
}

/** A model to write as a GGUF file: its weights under Hugging Face names, its config and its tokenizer. */
export interface GgufModel {
  /** `general.name` */
  readonly name: string;
  readonly config: CheckpointConfig;
  readonly tensors: Iterable<ModelTensor>;
  /** Null for a file without a vocabulary. */
  readonly tokenizer: TokenizerFiles | null;
  /**
   * Type of the matrices. Vectors stay F32, and matrices with rows that Q8_0 cannot hold (not a multiple of
   * 32) become F16.
   */
  readonly type: GgufWriteType;
}

const RULES: OptionRules<GgufModel> = {
  name: required(someText),
  config: required(objectWith('integer')),
  tensors: required(anyIterable),
  tokenizer: required(orNull(objectWith())),
  type: required(oneOf(GGUF_WRITE_TYPES)),
};

/** llama.cpp's number for the most frequent type of matrices. */
const FILE_TYPES: Readonly<Record<GgufWriteType, number>> = { F32: 0, F16: 1, Q8_0: 7, BF16: 32 };
const QUANTIZATION_VERSION = 2;
const Q8_0_BLOCK = 32;

/**
 * Writes a model as a GGUF file that llama.cpp loads, with names, rows, metadata and tokenizer as its
 * converter writes them. A tied head is omitted.
 *
 * @throws UnsupportedArchitectureError; QdyloraError UNSUPPORTED for a config or tokenizer that GGUF
 * cannot express; BAD_SHAPE for rows that do not fit the heads; NON_FINITE for a value beyond the type;
 * BAD_ARGUMENT; WRITE_FAILED.
 */
export async function writeGgufModel(path: string, model: GgufModel): Promise<void> {
  checkOptions('gguf', model, RULES);
  const { name, config, tensors, tokenizer, type } = model;
  const { name: architectureName, architecture } = ggufArchitectureOf(config.modelType, config.path);
  const heads = headsOf(config, architecture);
  const metadata = new Map<string, MetadataToWrite>([
    ['general.architecture', { text: architectureName }],
    ['general.type', { text: 'model' }],
    ['general.name', { text: name }],
    ['general.file_type', { u32: FILE_TYPES[type] }],
    ['general.quantization_version', { u32: QUANTIZATION_VERSION }],
    ...modelMetadata(architectureName, architecture, config),
  ]);
  const vocabularySize = config.integer('vocab_size');
  metadata.set(`${architectureName}.vocab_size`, { u32: vocabularySize });
  for (const [key, value] of tokenizerMetadata(tokenizer, config, vocabularySize)) metadata.set(key, value);
  const isTied = config.boolean(
    'tie_word_embeddings',
    config.modelType === 'gpt2' || config.modelType.startsWith('gemma'),
  );
  const factors = ropeFactors(config, heads.headDim);
  const list: GgufTensorToWrite[] = [];
  if (factors)
    list.push({
      name: 'rope_freqs.weight',
      type: 'F32',
      shape: [factors.length],
      bytes: () => encodeValues(factors, 'F32'),
    });
  for (const tensor of tensors) {
    const place = ggufPlace(architecture, tensor.name);
    if (place.name !== 'output.weight' || !isTied) list.push(tensorAt(place, tensor, heads, type));
  }
  await writeGguf(path, { metadata, tensors: list });
}

function tensorAt(
  place: GgufPlace,
  { shape, values }: ModelTensor,
  heads: Heads,
  matrixType: GgufWriteType,
): GgufTensorToWrite {
  const { name, layout } = place;
  const turned = layout === 'transposed' ? [...shape].reverse() : shape;
  const rows = shape[0];
  const isVector = shape.length === 1 || name.startsWith('position_embd');
  const type = isVector
    ? 'F32'
    : matrixType === 'Q8_0' && turned.at(-1)! % Q8_0_BLOCK !== 0
      ? 'F16'
      : matrixType;
  const order = fileRowOrder(place, rows, heads);
  return {
    name,
    type,
    shape: turned,
    bytes: async () => encodedBytes(await values(), type, arrangement(layout, rows, order)),
  };
}

/** How the values of a tensor are rearranged for the file; null if they are unchanged. */
function arrangement(layout: Layout | undefined, rows: number, order: RowOrder | undefined): Arrange | null {
  if (layout === 'transposed') return (values) => transposedValues(values, rows);
  if (layout === 'one-more') return (values) => values.map((value) => value + 1);
  return order ? (values) => reorderedRows(values, rows, order) : null;
}
