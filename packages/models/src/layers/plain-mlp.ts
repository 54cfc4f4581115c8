import { apply, differentiableActivation, type ActivationKind, type LinearLike } from '@qdylora/tensor';
import type { Hidden, LayerPass } from './layer-pass.ts';

/** down(f(up(x))): the MLP without a gate. */
export interface PlainMlp {
  readonly up: LinearLike;
  readonly down: LinearLike;
}

/** x: [tokens, hidden] → [tokens, hidden] */
export const plainMlp = (
  { up, down }: PlainMlp,
  kind: ActivationKind,
  { ctx }: LayerPass,
  x: Hidden,
): Hidden => down.forward(ctx, apply(ctx, differentiableActivation, { x: up.forward(ctx, x) }, { kind }).y);
