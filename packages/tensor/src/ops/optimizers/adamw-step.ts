import { assertShape, badArgument, defineOp, f32Array, hostData, type ArrayView } from '@qdylora/contract';

type F32 = ArrayView<'f32'>;

/** The numbers of AdamW that stay the same for a whole run. */
export interface AdamwAttributes {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** The numbers of one AdamW step. */
export interface AdamwRates {
  readonly learningRate: number;
  /** λ, decoupled from the gradient. */
  readonly weightDecay: number;
  /** t: how many updates the rows have had, this one included. */
  readonly step: number;
  /** s, a factor on the gradient: 1, or the clipping coefficient. */
  readonly gradientScale: number;
}

/**
 * One AdamW step in place, in PyTorch's order of operations: decay first, then, with g = s · gradient,
 * m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  p ← p − (lr / (1−β₁ᵗ)) · m / (√v / √(1−β₂ᵗ) + ε).
 *
 * Numbers that change from step to step are an input, so that a recorded step can be replayed:
 * rates = [lr / (1−β₁ᵗ), √(1−β₂ᵗ), 1 − lr·λ, s], from `adamwRates`.
 *
 * gradient: any shape  rates: [4]  →  parameter, m, v: as gradient  (Loshchilov & Hutter 2019)
 */
export const adamwStep = defineOp({
  name: 'adamw-step',
  takes: { gradient: f32Array(null), rates: f32Array(1) },
  updates: ['parameter', 'm', 'v'],
  shapes(i: { gradient: F32; rates: F32 }, attributes: AdamwAttributes) {
    assertBetas('adamw-step', attributes);
    assertEpsilon('adamw-step', attributes.epsilon);
    assertShape('adamw-step', 'rates', i.rates.shape, [4]);
    const spec = { dtype: 'f32' as const, shape: i.gradient.shape };
    return { parameter: spec, m: spec, v: spec };
  },
  reference({ gradient, rates }, { parameter, m, v }: { parameter: F32; m: F32; v: F32 }, a) {
    const [stepSize, rootCorrection, keep, scale] = hostData(rates) as unknown as FourNumbers;
    const gradients = hostData(gradient);
    const weights = hostData(parameter);
    const firstMoments = hostData(m);
    const secondMoments = hostData(v);
    for (let i = 0; i < gradients.length; i++) {
      const g = gradients[i] * scale;
      const first = a.beta1 * firstMoments[i] + (1 - a.beta1) * g;
      const second = a.beta2 * secondMoments[i] + (1 - a.beta2) * g * g;
      const step = (stepSize * first) / (Math.sqrt(second) / rootCorrection + a.epsilon);
      weights[i] = weights[i] * keep - step;
      firstMoments[i] = first;
      secondMoments[i] = second;
    }
  },
});

/** Four numbers in the order of an input `rates`. */
export type FourNumbers = readonly [number, number, number, number];

/**
 * The `rates` of one step, computed in float64; storing them as float32 is the only rounding.
 *
 * @throws QdyloraError BAD_ARGUMENT for a step below 1
 */
export function adamwRates(
  { beta1, beta2 }: Pick<AdamwAttributes, 'beta1' | 'beta2'>,
  { learningRate, weightDecay, step, gradientScale }: AdamwRates,
): FourNumbers {
  assertStep('adamw-step', step);
  return [
    learningRate / (1 - beta1 ** step),
    Math.sqrt(1 - beta2 ** step),
    1 - learningRate * weightDecay,
    gradientScale,
  ];
}

/** @throws QdyloraError BAD_ARGUMENT where a moment would not be a mean */
export function assertBetas(where: string, { beta1, beta2 }: Pick<AdamwAttributes, 'beta1' | 'beta2'>): void {
  if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1))
    throw badArgument(where, `beta1 and beta2 must be at least 0 and below 1 (got ${beta1} and ${beta2})`);
}

/** @throws QdyloraError BAD_ARGUMENT where a step could change its sign */
export function assertEpsilon(where: string, epsilon: number): void {
  if (!(epsilon >= 0)) throw badArgument(where, `epsilon must be at least 0 (got ${epsilon})`);
}

/** @throws QdyloraError BAD_ARGUMENT where the bias correction would divide by 0 */
export function assertStep(where: string, step: number): void {
  if (!(step >= 1)) throw badArgument(where, `the step must be at least 1 (got ${step})`);
}
