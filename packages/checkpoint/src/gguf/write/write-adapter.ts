import {
  checkOptions,
  numberWithin,
  objectWith,
  QdyloraError,
  required,
  someText,
  type OptionRules,
} from '@qdylora/contract';
import type { CheckpointConfig } from '../../config/hf-config.ts';
import { anyIterable } from '../../write/option-rules.ts';
import { fileRowOrder, reorderedRows } from './arranged-values.ts';
import { encodedBytes, valueCount, type FloatValues } from './encoded-bytes.ts';
import { ggufArchitectureOf, ggufPlace } from './gguf-place.ts';
import type { MetadataToWrite } from './metadata-value.ts';
import { headsOf } from './model-metadata.ts';
import { writeGguf, type GgufTensorToWrite } from './write-gguf.ts';

/**
 * An adapted matrix, which adds `scale · b · a · x`. a: [rank, in], b: [out, rank]; sources have dtype F32.
 */
export interface GgufAdapterLayer {
  readonly name: string;
  readonly a: FloatValues;
  readonly b: FloatValues;
  readonly rank: number;
}

/** A LoRA adapter to write as a GGUF file; all its layers have the same rank. */
export interface GgufAdapter {
  readonly layers: readonly GgufAdapterLayer[];
  /** Factor of b · a, equal for all layers. */
  readonly scale: number;
  /** Config of the base model. Its architecture and heads decide names and row order. */
  readonly config: CheckpointConfig;
  /** `general.name`; omitted from the file by default. */
  readonly name?: string;
}

const RULES: OptionRules<GgufAdapter> = {
  layers: required(anyIterable),
  scale: required(numberWithin()),
  config: required(objectWith('integer')),
  name: someText,
};

/**
 * Writes a LoRA adapter as a GGUF file, which llama.cpp loads beside a base model (`--lora`). llama.cpp
 * scales by alpha / rank, so alpha = scale · rank.
 *
 * @throws UnsupportedArchitectureError; QdyloraError UNSUPPORTED for layers of different ranks or a layer
 * that the architecture does not have; BAD_SHAPE for rows that do not fit the heads; BAD_ARGUMENT;
 * WRITE_FAILED.
 */
export async function writeGgufAdapter(path: string, adapter: GgufAdapter): Promise<void> {
  checkOptions('gguf', adapter, RULES);
  const { layers, scale, config, name } = adapter;
  const { name: architectureName, architecture } = ggufArchitectureOf(config.modelType, config.path);
  const heads = headsOf(config, architecture);
  const ranks = [...new Set(layers.map(({ rank }) => rank))];
  if (ranks.length !== 1)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'gguf',
      problem:
        'All layers of a GGUF adapter must have one rank, because it has one alpha (got ' +
        `${ranks.join(', ') || 'no layer'}).`,
      nextStep: 'Export it at one rank first.',
    });
  const metadata = new Map<string, MetadataToWrite>([
    ['general.architecture', { text: architectureName }],
    ['general.type', { text: 'adapter' }],
    ...(name === undefined ? [] : [['general.name', { text: name }] as [string, MetadataToWrite]]),
    ['general.file_type', { u32: 0 }],
    ['adapter.type', { text: 'lora' }],
    ['adapter.lora.alpha', { f32: scale * ranks[0] }],
  ]);
  const tensors = layers.flatMap((layer): GgufTensorToWrite[] => {
    const { a, b, rank } = layer;
    const place = ggufPlace(architecture, `${layer.name}.weight`);
    const outFeatures = valueCount(b) / rank;
    const order = fileRowOrder(place, outFeatures, heads);
    return [
      {
        name: `${place.name}.lora_a`,
        type: 'F32',
        shape: [rank, valueCount(a) / rank],
        bytes: () => encodedBytes(a, 'F32', null),
      },
      {
        name: `${place.name}.lora_b`,
        type: 'F32',
        shape: [outFeatures, rank],
        bytes: () => encodedBytes(b, 'F32', order && ((values) => reorderedRows(values, outFeatures, order))),
      },
    ];
  });
  await writeGguf(path, { metadata, tensors });
}
