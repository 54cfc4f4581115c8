import { QdyloraError } from '@qdylora/contract';

/** Activation functions: x·sigmoid(x); x·Φ(x); its tanh form (`gelu_new`, `gelu_pytorch_tanh`); max(x, 0). */
export const ACTIVATION_KINDS = ['silu', 'gelu', 'gelu_tanh', 'relu'] as const;
/** The name of an activation function. */
export type ActivationKind = (typeof ACTIVATION_KINDS)[number];

/** A function of one number and its derivative, in float64. */
export interface ActivationFunction {
  value(x: number): number;
  slope(x: number): number;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const normalDensity = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/**
 * Φ(x), the normal distribution: 1/2 + φ(x)·(x + x³/3 + x⁵/(3·5) + …), and in the lower tail, where that sum
 * cancels, φ(x) / (|x| + 1/(|x| + 2/(|x| + …))). (Marsaglia 2004; Laplace 1805)
 */
function normalDistribution(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x > 9) return 1; // 1 − Φ(9) = 1e-19
  if (x < -4) {
    let fraction = -x;
    // 40 terms give float64 at −4, and fewer below
    for (let k = 40; k >= 1; k--) fraction = -x + k / fraction;
    return normalDensity(x) / fraction;
  }
  let sum = 0;
  let term = x;
  for (let k = 3; sum + term !== sum; k += 2) {
    sum += term;
    term *= (x * x) / k;
  }
  return 0.5 + normalDensity(x) * sum;
}

/**
 * The inner function of GELU's tanh form: ½·(1 + tanh(u/2)) = sigmoid(u) with u = √(8/π)·(x + 0.044715·x³).
 * (Hendrycks & Gimpel 2016)
 */
const tanhArgument = (x: number): number => Math.sqrt(8 / Math.PI) * (x + 0.044715 * x ** 3);

/**
 * value = x · gate(x); slope = gate(x) + x · gate′(x). At ±∞ both may be NaN (∞ · 0), and backends may give
 * the limit instead.
 */
const FUNCTIONS: Readonly<Record<ActivationKind, ActivationFunction>> = {
  silu: { value: (x) => x * sigmoid(x), slope: (x) => sigmoid(x) * (1 + x * sigmoid(-x)) },
  gelu: {
    value: (x) => x * normalDistribution(x),
    slope: (x) => normalDistribution(x) + x * normalDensity(x),
  },
  gelu_tanh: {
    value: (x) => x * sigmoid(tanhArgument(x)),
    slope: (x) =>
      sigmoid(tanhArgument(x)) *
      (1 + sigmoid(-tanhArgument(x)) * Math.sqrt(8 / Math.PI) * (x + 3 * 0.044715 * x ** 3)),
  },
  relu: { value: (x) => (x < 0 ? 0 : x), slope: (x) => (x <= 0 ? 0 : 1) },
};

/** The function of a kind.  @throws QdyloraError UNSUPPORTED for an unknown kind */
export function activationFunction(kind: ActivationKind): ActivationFunction {
  const found = Object.hasOwn(FUNCTIONS, kind) && FUNCTIONS[kind];
  if (!found)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'activation',
      problem: `the activation must be one of ${ACTIVATION_KINDS.join(', ')} (got ${String(kind)})`,
    });
  return found;
}
