import { runOp, type ArrayView, type DryBackend } from '@qdylora/contract';
import type { AttentionConfig } from '@qdylora/models';
import { causalAttention, causalAttentionBackward, type ComputeDtype } from '@qdylora/tensor';

/** Peak bytes of attention for tokens in `segments`: [segments + 1]. */
export type AttentionNeed = (segments: Int32Array) => number;

/**
 * Peak memory of attention and its gradient, workspaces included, in the layer that needs most. Attention is
 * the only op whose memory depends on where segments begin: kernels decide how keys are packed and how a
 * segment is cut into chunks. So this asks the kernels, on a dry backend.
 */
export function attentionNeed(
  backend: DryBackend,
  layers: readonly AttentionConfig[],
  computeDtype: ComputeDtype,
): AttentionNeed {
  const { memory } = backend;
  const distinctLayers = [
    ...new Map(
      layers.map((layer) => [[layer.heads, layer.kvHeads, layer.headDim, layer.window].join(), layer]),
    ).values(),
  ];
  return (segments) => Math.max(...distinctLayers.map((layer) => peakOf(segments, layer)));

  function peakOf(
    segments: Int32Array,
    { heads, kvHeads, headDim, scale, window, softCap }: AttentionConfig,
  ): number {
    const before = memory.usage().liveBytes;
    const tokens = segments.at(-1)!;
    memory.resetPeak();
    memory.scoped(
      () => {
        const rows = (columns: number): ArrayView<'f32'> => memory.allocate('f32', [tokens, columns]);
        const places = memory.allocate('i32', [segments.length]);
        memory.write(places, segments);
        const inputs = {
          q: rows(heads * headDim),
          k: rows(kvHeads * headDim),
          v: rows(kvHeads * headDim),
          querySegments: places,
          keySegments: places,
        };
        const attributes = { heads, kvHeads, headDim, scale, window, softCap, computeDtype };
        const { y, logSumExp } = runOp(backend, causalAttention, inputs, attributes);
        runOp(
          backend,
          causalAttentionBackward,
          { ...inputs, y: y!, logSumExp: logSumExp!, dy: rows(heads * headDim) },
          attributes,
        );
      },
      () => [],
    );
    return memory.usage().peakBytes - before;
  }
}
