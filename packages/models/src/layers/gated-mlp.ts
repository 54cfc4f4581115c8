import {
  apply,
  differentiableActivationGate,
  projectTogether,
  type ActivationKind,
  type LinearLike,
} from '@qdylora/tensor';
import type { WeightSource } from '../weights/weight-source.ts';
import type { Hidden, LayerPass } from './layer-pass.ts';

/** Gated MLP (Shazeer 2020): down(f(gate(x)) · up(x)) */
export interface GatedMlp {
  readonly gateProj: LinearLike;
  readonly upProj: LinearLike;
  readonly downProj: LinearLike;
}

export interface MlpOptions {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly mlpBias: boolean;
}

export function buildGatedMlp(
  weights: WeightSource,
  at: string,
  { hiddenSize, intermediateSize, mlpBias: bias }: MlpOptions,
): GatedMlp {
  return {
    gateProj: weights.linear(`${at}.gate_proj`, [intermediateSize, hiddenSize], { bias }),
    upProj: weights.linear(`${at}.up_proj`, [intermediateSize, hiddenSize], { bias }),
    downProj: weights.linear(`${at}.down_proj`, [hiddenSize, intermediateSize], { bias }),
  };
}

/** x: [tokens, hidden] → [tokens, hidden] */
export function gatedMlp(
  { gateProj, upProj, downProj }: GatedMlp,
  kind: ActivationKind,
  { ctx }: LayerPass,
  x: Hidden,
): Hidden {
  // [tokens, intermediate]
  const [gate, up] = projectTogether(ctx, [gateProj, upProj], x, ctx.activationDtype) as [Hidden, Hidden];
  return downProj.forward(ctx, apply(ctx, differentiableActivationGate, { gate, up }, { kind }).y);
}
