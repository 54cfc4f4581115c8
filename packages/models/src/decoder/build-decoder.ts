import { EmbeddingTable, type Parameter } from '@qdylora/tensor';
import type { Family } from '../families/family.ts';
import type { FamilyConfig } from '../families/family-config.ts';
import type { Norm } from '../layers/norm.ts';
import type { WeightSource } from '../weights/weight-source.ts';

/** The modules of a decoder, as plain records; the layers are the family's own. */
export interface DecoderModules<L = unknown> {
  readonly embedding: EmbeddingTable;
  /** Learned positions; null in families with rotary embeddings or ALiBi. */
  readonly positions: EmbeddingTable | null;
  readonly layers: readonly L[];
  readonly norm: Norm;
  /** The matrix that makes logits: [vocabulary, hidden]; the embedding's where it is tied. */
  readonly head: { readonly name: string; readonly weight: Parameter; parameters(): Parameter[] };
}

/** Builds the modules of a decoder from a checkpoint, from random numbers, or from shapes alone. */
export function buildDecoder<C extends FamilyConfig, L>(
  family: Family<C, L>,
  config: C,
  weights: WeightSource,
): DecoderModules<L> {
  const { names } = family;
  const { vocabularySize, hiddenSize, maxPositions } = config;
  const table = (name: string, rows: number): EmbeddingTable =>
    new EmbeddingTable(name, weights.table(name, [rows, hiddenSize]));
  const embedding = table(names.embedding, vocabularySize);
  const positions = names.positions ? table(names.positions, maxPositions) : null;
  const layers = config.attention.map((_, i) =>
    family.buildLayer(config, weights, `${names.layers}.${i}`, i),
  );
  const norm = family.norm(config, weights, names.norm);
  const head = config.tiedHead ? embedding.weight : weights.table(names.head, [vocabularySize, hiddenSize]);
  return {
    embedding,
    positions,
    layers,
    norm,
    head: { name: names.head, weight: head, parameters: () => [head] },
  };
}
