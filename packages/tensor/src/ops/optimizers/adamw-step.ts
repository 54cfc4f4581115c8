import { hostData, badArgument, defineOp, elementCount, f32Array, type ArrayView } from '@qdylora/contract';

type F32 = ArrayView<'f32'>;

/** `step` counts from 1. `gradientScale` multiplies the gradient first (1, or the clipping coefficient). */
export interface AdamwAttributes {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly step: number;
  readonly gradientScale: number;
}

/**
 * One AdamW step in torch's order of operations, in place: decay first, then
 * m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  p ← p − (lr / (1−β₁ᵗ)) · m / (√v / √(1−β₂ᵗ) + ε).
 * gradient: any shape  →  parameter, m, v: as gradient  (Loshchilov & Hutter 2019)
 */
export const adamwStep = defineOp({
  name: 'adamw-step',
  takes: { gradient: f32Array(null) },
  updates: ['parameter', 'm', 'v'],
  shapes(i: { gradient: F32 }, attributes: AdamwAttributes) {
    assertAdamwRates('adamw-step', attributes);
    const spec = { dtype: 'f32' as const, shape: i.gradient.shape };
    return { parameter: spec, m: spec, v: spec };
  },
  reference({ gradient }, { parameter, m, v }: { parameter: F32; m: F32; v: F32 }, a) {
    const stepSize = a.learningRate / (1 - a.beta1 ** a.step);
    const rootCorrection = Math.sqrt(1 - a.beta2 ** a.step);
    for (let i = 0; i < elementCount(gradient.shape); i++) {
      const g = hostData(gradient)[i] * a.gradientScale;
      const first = a.beta1 * hostData(m)[i] + (1 - a.beta1) * g;
      const second = a.beta2 * hostData(v)[i] + (1 - a.beta2) * g * g;
      const decayed = hostData(parameter)[i] * (1 - a.learningRate * a.weightDecay);
      hostData(parameter)[i] =
        decayed - (stepSize * first) / (Math.sqrt(second) / rootCorrection + a.epsilon);
      hostData(m)[i] = first;
      hostData(v)[i] = second;
    }
  },
});

/**
 * @throws QdyloraError BAD_ARGUMENT where the step would divide by 0 or take the root of a negative number
 */
export function assertAdamwRates(where: string, { beta1, beta2, epsilon, step }: AdamwAttributes): void {
  if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1))
    throw badArgument(where, `expected 0 ≤ β < 1 for beta1 and beta2, got ${beta1} and ${beta2}`);
  if (!(epsilon >= 0)) throw badArgument(where, `expected a number ≥ 0 for epsilon, got ${epsilon}`);
  if (!(step >= 1)) throw badArgument(where, `expected a step that counts from 1, got ${step}`);
}
