import { activationFunction, type ActivationKind } from '@qdylora/tensor';
import { EPSILON } from './tolerance.ts';

/**
 * How far f(x) and f′(x) may be off. With s the sigmoid (or Φ): its relative error is 6 to 16 roundings
 * (exponential, sum, reciprocal, polynomial) and what the exponent's own rounding adds in the lower tail:
 * ε·|exponent|·3. The slope is s + x·s′, each term with that error; 1 − s has an absolute error of 2ε near s
 * = 1.
 * Where e^x is below 1e-37 the kernels give 0.
 */
export function activationBounds(
  kind: ActivationKind,
  x: number,
): { readonly value: number; readonly slope: number } {
  const { value } = activationFunction(kind);
  const tail = 1e-35;
  switch (kind) {
    case 'relu':
      return { value: 0, slope: 0 };
    case 'gelu': {
      const roundings = 24 + Math.min(x * x, 200);
      const density = Math.exp((-x * x) / 2);
      return {
        value: roundings * EPSILON * Math.abs(value(x)) + tail,
        slope:
          roundings *
            EPSILON *
            (Math.abs(value(x) / (x || 1)) + (x === 0 ? 0.5 : 0) + Math.abs(x) * density) +
          tail,
      };
    }
    case 'silu':
    case 'gelu_tanh': {
      const argument = kind === 'silu' ? x : Math.sqrt(8 / Math.PI) * (x + 0.044715 * x ** 3);
      const s = 1 / (1 + Math.exp(-argument));
      const steep = Math.abs(kind === 'silu' ? x : Math.sqrt(8 / Math.PI) * (x + 3 * 0.044715 * x ** 3));
      const roundings = 14 + 4 * Math.min(200, Math.abs(argument)) * (1 - s);
      return {
        value: roundings * EPSILON * Math.abs(value(x)) + tail,
        slope: 2 * roundings * EPSILON * s * (1 + Math.min(steep, 300) * (1 - s + 0.1)) + tail,
      };
    }
  }
}
