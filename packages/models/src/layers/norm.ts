import { LayerNormLayer, RmsNormLayer, type ForwardContext, type Parameter } from '@qdylora/tensor';
import type { FamilyConfig } from '../families/family-config.ts';
import type { WeightSource } from '../weights/weight-source.ts';
import type { Hidden } from './layer-pass.ts';

/** A normalization of rows. */
export interface Norm {
  readonly name: string;
  parameters(): Parameter[];
  /** x: [tokens, hidden] → [tokens, hidden] */
  forward(ctx: ForwardContext, x: Hidden): Hidden;
}

/** RMS norm over `size` columns. With `isOffset` the checkpoint stores the weight minus one (Gemma). */
export const rmsNorm = (
  weights: WeightSource,
  name: string,
  {
    size,
    epsilon,
    isOffset = false,
  }: { readonly size: number; readonly epsilon: number; readonly isOffset?: boolean },
): RmsNormLayer =>
  new RmsNormLayer(name, weights.vector(`${name}.weight`, size, isOffset ? 0 : 1), epsilon, isOffset ? 1 : 0);

/** Layer norm over the hidden size, with bias. */
export const layerNorm = (
  weights: WeightSource,
  name: string,
  { hiddenSize, epsilon }: Pick<FamilyConfig, 'hiddenSize' | 'epsilon'>,
): LayerNormLayer =>
  new LayerNormLayer(
    name,
    weights.vector(`${name}.weight`, hiddenSize, 1),
    weights.vector(`${name}.bias`, hiddenSize, 0),
    epsilon,
  );
