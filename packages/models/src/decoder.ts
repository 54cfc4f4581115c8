import { f32View } from '@qdylora/contract';
import {
  apply,
  constant,
  differentiableAdd,
  differentiableScaleBy,
  EmbeddingTable,
  recompute,
  type ForwardContext,
  type Parameter,
} from '@qdylora/tensor';
import type { BatchArrays } from './batch-arrays.ts';
import type { AttentionConfig, Family, FamilyConfig } from './families/family.ts';
import type { KvCache } from './generate/kv-cache.ts';
import type { Hidden } from './layers/hidden.ts';
import type { Norm } from './layers/norm.ts';
import { rotaryAngles, type RotaryAngles } from './layers/rotary-angles.ts';
import type { RopeFrequencies } from './rope-frequencies.ts';
import type { WeightSource } from './weights/weight-source.ts';

/** A whole decoder as a tree of modules: plain records, whose layers are the family's own. */
export interface DecoderModules<L = unknown> {
  readonly embedding: EmbeddingTable;
  /** Learned positions; null where a layer turns or biases its scores. */
  readonly positions: EmbeddingTable | null;
  readonly layers: readonly L[];
  readonly norm: Norm;
  /** The matrix that makes logits: [vocabulary, hidden]; the embedding's where it is tied. */
  readonly head: { readonly name: string; readonly weight: Parameter; parameters(): Parameter[] };
}

/** Builds the modules from any source of weights: files, random numbers, or shapes alone. */
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
  const layers = config.attention.map((_, i) => family.layer(config, weights, `${names.layers}.${i}`, i));
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

/** The forward pass up to the last norm: [tokens, hidden] */
export function decoderHidden<C extends FamilyConfig, L>(
  family: Family<C, L>,
  config: C,
  modules: DecoderModules<L>,
  { ctx, batch, cache }: DecoderPass,
): Hidden {
  const angles = anglesByRope(ctx, batch, config.attention);
  const { layers } = modules;
  const block = (inner: ForwardContext, input: Hidden | null, i: number): Hidden => {
    const attention = config.attention[i]!;
    const pass = {
      ctx: inner,
      batch,
      attention,
      angles: attention.rope && angles.get(attention.rope)!,
      cache: cache?.layers[i],
    };
    return family.block(layers[i]!, config, pass, input ?? embedded(config, modules, inner, batch));
  };
  let x: Hidden | null = null;
  for (const { from, to, runsAgain } of spansOf(ctx, layers.length)) {
    const span = (inner: ForwardContext, input: Hidden | null): Hidden | null => {
      let own = input;
      for (let i = from; i < to; i++)
        own = inner.tape ? block(inner, own, i) : recompute(inner, own, (bare, it) => block(bare, it, i));
      return own;
    };
    x = runsAgain
      ? recompute(ctx, x, span as (inner: ForwardContext, input: Hidden | null) => Hidden)
      : span(ctx, x);
  }
  return modules.norm.forward(ctx, x ?? embedded(config, modules, ctx, batch));
}

/** Blocks from … to − 1, which are run again together, or keep what backward needs. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly runsAgain: boolean;
}

function spansOf({ recompute: asked, tape }: ForwardContext, layers: number): Span[] {
  if (!tape || asked === false) return [{ from: 0, to: layers, runsAgain: false }];
  const [size, until] =
    asked === true
      ? [1, layers]
      : 'every' in asked
        ? [asked.every, layers]
        : [1, Math.min(asked.first, layers)];
  const again = Array.from({ length: Math.ceil(until / size) }, (_, i): Span => ({
    from: i * size,
    to: Math.min((i + 1) * size, until),
    runsAgain: true,
  }));
  return until < layers ? [...again, { from: until, to: layers, runsAgain: false }] : again;
}

export interface DecoderPass {
  readonly ctx: ForwardContext;
  readonly batch: BatchArrays;
  readonly cache?: KvCache | undefined;
}

/** embedding[id] · scale + positions[position]: [tokens, hidden] */
function embedded(
  { embeddingScale }: FamilyConfig,
  { embedding, positions }: DecoderModules,
  ctx: ForwardContext,
  batch: BatchArrays,
): Hidden {
  const x = embedding.forward(ctx, batch.ids);
  const scaled =
    embeddingScale === 1
      ? x
      : apply(ctx, differentiableScaleBy, { x, factor: constant(f32View([1], [embeddingScale])) }, {}).y;
  return positions
    ? apply(ctx, differentiableAdd, { a: scaled, b: positions.forward(ctx, batch.positions) }, {}, { y: 'b' })
        .y
    : scaled;
}

/** Once for all layers that share a `rope`, outside the blocks: those may run twice. */
function anglesByRope(
  ctx: ForwardContext,
  batch: BatchArrays,
  layers: readonly AttentionConfig[],
): Map<RopeFrequencies, RotaryAngles> {
  const ropes = new Set(layers.flatMap(({ rope }) => rope ?? []));
  return new Map([...ropes].map((rope) => [rope, rotaryAngles(ctx, batch, rope)]));
}
