import { projectTogether, type LinearLike, type RmsNormLayer } from '@qdylora/tensor';
import type { AttentionConfig } from '../families/family-config.ts';
import type { WeightSource } from '../weights/weight-source.ts';
import { attend } from './attend.ts';
import type { Hidden, LayerPass } from './layer-pass.ts';
import { rmsNorm } from './norm.ts';

/**
 * Attention with separate matrices for q, k and v. `qNorm` and `kNorm` normalize each head before the rotary
 * embedding.
 */
export interface SeparateAttention {
  readonly qProj: LinearLike;
  readonly kProj: LinearLike;
  readonly vProj: LinearLike;
  readonly oProj: LinearLike;
  readonly qNorm: RmsNormLayer | null;
  readonly kNorm: RmsNormLayer | null;
}

export interface SeparateAttentionOptions {
  readonly hiddenSize: number;
  readonly epsilon: number;
  readonly qkvBias: boolean;
  /** Bias of the output projection. */
  readonly outBias: boolean;
  readonly hasHeadNorms: boolean;
  readonly isOffset: boolean;
}

export function buildSeparateAttention(
  weights: WeightSource,
  at: string,
  { heads, kvHeads, headDim }: AttentionConfig,
  options: SeparateAttentionOptions,
): SeparateAttention {
  const { hiddenSize, epsilon, qkvBias, outBias, hasHeadNorms, isOffset } = options;
  const project = (name: string, out: number): LinearLike =>
    weights.linear(`${at}.${name}`, [out, hiddenSize], { bias: qkvBias });
  const headNorm = (name: string): RmsNormLayer | null =>
    hasHeadNorms ? rmsNorm(weights, `${at}.${name}`, { size: headDim, epsilon, isOffset }) : null;
  return {
    qProj: project('q_proj', heads * headDim),
    kProj: project('k_proj', kvHeads * headDim),
    vProj: project('v_proj', kvHeads * headDim),
    oProj: weights.linear(`${at}.o_proj`, [hiddenSize, heads * headDim], { bias: outBias }),
    qNorm: headNorm('q_norm'),
    kNorm: headNorm('k_norm'),
  };
}

/** x: [tokens, hidden] → [tokens, hidden] */
export function separateAttention(
  { qProj, kProj, vProj, oProj, qNorm, kNorm }: SeparateAttention,
  pass: LayerPass,
  x: Hidden,
): Hidden {
  const { ctx } = pass;
  const rowDtype = qNorm || kNorm ? 'f32' : ctx.activationDtype; // head norms read float32
  // q: [tokens, heads · headDim]; k, v: [tokens, kvHeads · headDim]
  const [q, k, v] = projectTogether(ctx, [qProj, kProj, vProj], x, rowDtype) as [Hidden, Hidden, Hidden];
  return oProj.forward(
    ctx,
    attend(pass, qNorm ? qNorm.forward(ctx, q) : q, kNorm ? kNorm.forward(ctx, k) : k, v),
  );
}
