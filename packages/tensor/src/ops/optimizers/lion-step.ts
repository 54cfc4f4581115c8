import { hostData, defineOp, elementCount, f32Array, type ArrayView } from '@qdylora/contract';

type F32 = ArrayView<'f32'>;

/** `gradientScale` multiplies the gradient first (1, or the clipping coefficient). */
export interface LionAttributes {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  readonly gradientScale: number;
}

/**
 * One Lion step in place, decay first: p ← p·(1 − lr·λ) − lr · sign(β₁m + (1−β₁)g), with sign(0) = 0, and m ←
 * β₂m + (1−β₂)g.
 * gradient: any shape  →  parameter, m: as gradient  (Chen et al. 2023, algorithm 2)
 */
export const lionStep = defineOp({
  name: 'lion-step',
  takes: { gradient: f32Array(null) },
  updates: ['parameter', 'm'],
  shapes(i: { gradient: F32 }, _: LionAttributes) {
    const spec = { dtype: 'f32' as const, shape: i.gradient.shape };
    return { parameter: spec, m: spec };
  },
  reference({ gradient }, { parameter, m }: { parameter: F32; m: F32 }, a) {
    for (let i = 0; i < elementCount(gradient.shape); i++) {
      const { moved, first } = lionUpdate(a, hostData(parameter)[i], hostData(m)[i], hostData(gradient)[i]);
      hostData(parameter)[i] = moved;
      hostData(m)[i] = first;
    }
  },
});

/** The rule for one weight: where it moves to, and its next momentum. */
export function lionUpdate(
  a: LionAttributes,
  weight: number,
  m: number,
  gradient: number,
): { moved: number; first: number } {
  const g = gradient * a.gradientScale;
  const direction = Math.sign(a.beta1 * m + (1 - a.beta1) * g);
  return {
    moved: weight * (1 - a.learningRate * a.weightDecay) - a.learningRate * direction,
    first: a.beta2 * m + (1 - a.beta2) * g,
  };
}
