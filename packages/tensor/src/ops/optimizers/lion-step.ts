import { assertShape, defineOp, f32Array, hostData, type ArrayView } from '@qdylora/contract';
import { assertBetas, type AdamwRates } from './adamw-step.ts';

type F32 = ArrayView<'f32'>;

/** The numbers of Lion that stay the same for a whole run. */
export interface LionAttributes {
  readonly beta1: number;
  readonly beta2: number;
}

/**
 * One Lion step in place, decay first. With g = s · gradient and sign(0) = 0:
 * p ← p·(1 − lr·λ) − lr · sign(β₁m + (1−β₁)g),  m ← β₂m + (1−β₂)g.
 *
 * Numbers that change from step to step are an input, so that a recorded step can be replayed:
 * rates = [lr, 1 − lr·λ, s], from `lionRates`.
 *
 * gradient: any shape  rates: [3]  →  parameter, m: as gradient  (Chen et al. 2023, algorithm 2)
 */
export const lionStep = defineOp({
  name: 'lion-step',
  takes: { gradient: f32Array(null), rates: f32Array(1) },
  updates: ['parameter', 'm'],
  shapes(i: { gradient: F32; rates: F32 }, betas: LionAttributes) {
    assertBetas('lion-step', betas);
    assertShape('lion-step', 'rates', i.rates.shape, [3]);
    const spec = { dtype: 'f32' as const, shape: i.gradient.shape };
    return { parameter: spec, m: spec };
  },
  reference({ gradient, rates }, { parameter, m }: { parameter: F32; m: F32 }, betas) {
    const update = lionUpdate(betas, rates);
    const gradients = hostData(gradient);
    const weights = hostData(parameter);
    const moments = hostData(m);
    for (let i = 0; i < gradients.length; i++) {
      const { moved, first } = update(weights[i], moments[i], gradients[i]);
      weights[i] = moved;
      moments[i] = first;
    }
  },
});

/** The `rates` of one step, computed in float64; storing them as float32 is the only rounding. */
export const lionRates = ({
  learningRate,
  weightDecay,
  gradientScale,
}: Omit<AdamwRates, 'step'>): readonly [number, number, number] => [
  learningRate,
  1 - learningRate * weightDecay,
  gradientScale,
];

/** The rule for one weight: where it moves to, and its next momentum. */
export function lionUpdate(
  { beta1, beta2 }: LionAttributes,
  rates: F32,
): (weight: number, m: number, gradient: number) => { moved: number; first: number } {
  const [rate, keep, scale] = hostData(rates) as unknown as readonly [number, number, number];
  return (weight, m, gradient) => {
    const g = gradient * scale;
    const direction = Math.sign(beta1 * m + (1 - beta1) * g);
    return { moved: weight * keep - rate * direction, first: beta2 * m + (1 - beta2) * g };
  };
}
