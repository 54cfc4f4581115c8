import type { ComputeDtype } from '@qdylora/tensor';

/** The compute type of gradients without loss scaling, of which small ones would vanish in float16. */
export const unscaledDtype = (computeDtype: ComputeDtype): ComputeDtype =>
  computeDtype === 'f16' ? 'f32' : computeDtype;
