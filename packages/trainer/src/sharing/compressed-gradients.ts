import { sumCompressed, type SentFormat } from '@qdylora/collectives';
import type { GradientSum, PackedGradients } from './gradient-sum.ts';

/**
 * Sends gradients as bf16 or int8 with error feedback: the rounding error of a step is added to the gradients
 * of the next one (`sumCompressed`). Each worker keeps these residuals in one float32 array of the size of
 * the gradients. Checkpoints do not contain them, so a resumed run loses at most one quantum per element and
 * worker. Sorting the rows (`wideSteps`) does not reorder them.
 *
 * Create one per run: it has state.
 *
 * @example
 * train({ …, workers, gradientSum: compressedGradients('int8') });
 */
export function compressedGradients(format: SentFormat): GradientSum {
  /** The rounding errors so far, of the rows of each parameter that were ever sent. */
  const residuals: Float32Array[] = [];
  /** The residuals are gradients times this. */
  let residualFactor = 1;
  return {
    name: format,
    async add(workers, { values, lengths, lossFactor }) {
      if (lossFactor !== residualFactor)
        for (const residual of residuals) scale(residual, lossFactor / residualFactor);
      residualFactor = lossFactor;
      lengths.forEach((length, i) => {
        residuals[i] = withLength(residuals[i] ?? new Float32Array(), length);
      });
      const residual = new Float32Array(values.length);
      eachPart(lengths, (i, from, to) => {
        residual.set(residuals[i].subarray(0, to - from), from);
      });
      await sumCompressed(workers, { values, residual, format });
      eachPart(lengths, (i, from, to) => {
        residuals[i].set(residual.subarray(from, to));
      });
    },
  };
}

function scale(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] *= factor;
}

/** The array, or a longer copy that ends with zeros. */
function withLength(values: Float32Array, length: number): Float32Array {
  if (values.length >= length) return values;
  const longer = new Float32Array(length);
  longer.set(values);
  return longer;
}

function eachPart(
  lengths: PackedGradients['lengths'],
  visit: (parameter: number, from: number, to: number) => void,
): void {
  let from = 0;
  lengths.forEach((length, i) => {
    visit(i, from, (from += length));
  });
}
