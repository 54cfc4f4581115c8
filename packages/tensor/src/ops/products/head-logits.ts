import { hostData, QdyloraError, rounderTo, type ArrayView, type FloatView } from '@qdylora/contract';
import { readElement } from '../elements/read-element.ts';
import type { ComputeDtype } from './linear.ts';

type F32 = ArrayView<'f32'>;

/** The target of a token that does not count, as in PyTorch. */
export const IGNORED_TARGET = -100;

/** @throws QdyloraError BAD_DATA for a target that is no class */
export function assertTarget(where: string, target: number, position: number, vocabulary: number): void {
  if (target >= 0 && target < vocabulary) return;
  throw new QdyloraError('BAD_DATA', {
    where,
    problem:
      `targets must be within 0…${vocabulary - 1}, or ${IGNORED_TARGET} ` +
      `(got ${target} at position ${position})`,
    nextStep: 'Does the tokenizer belong to the model?',
    details: { position, target, vocabulary },
  });
}

/** The largest logit (−∞ of none), and Σ e^(z − largest). */
export function sumOfExponentials(logits: Float64Array): { readonly largest: number; readonly sum: number } {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  return { largest, sum: logits.reduce((sum, z) => sum + Math.exp(z - largest), 0) };
}

/**
 * The head as a reference computes it: logits of one token at a time, and the gradients of x and of the
 * weight from those of the logits.
 */
export interface ReferenceHead {
  /** Logits of token t, capped: [vocabulary]. The next call overwrites them. */
  logitsOf(t: number): Float64Array;
  /**
   * Takes the gradients of the capped logits of token t through the cap. Writes its row of dx: [tokens,
   * hidden], and adds to `weightSums`, which is the gradient of the weight in float64: [vocabulary, hidden].
   */
  addGradients(
    t: number,
    token: { readonly logits: Float64Array; readonly gradients: Float64Array },
    into: { readonly dx?: F32; readonly weightSums?: Float64Array },
  ): void;
}

/** Sums are float64.  x: [tokens, hidden]   weight: [vocabulary, hidden] */
export function referenceHead(
  { x, weight }: { readonly x: FloatView; readonly weight: FloatView },
  { computeDtype, softCap }: { readonly computeDtype: ComputeDtype; readonly softCap: number },
): ReferenceHead {
  const [vocabulary, hidden] = weight.shape as [number, number];
  const xAt = readElement(x, computeDtype);
  const wAt = readElement(weight, computeDtype);
  const round = rounderTo(computeDtype);
  const logits = new Float64Array(vocabulary);
  return {
    logitsOf(t) {
      for (let c = 0; c < vocabulary; c++) {
        logits[c] = 0;
        for (let j = 0; j < hidden; j++) logits[c] += xAt(t * hidden + j) * wAt(c * hidden + j);
        if (softCap > 0) logits[c] = softCap * Math.tanh(logits[c] / softCap);
      }
      return logits;
    },
    addGradients(t, token, { dx, weightSums }) {
      const dxRow = new Float64Array(hidden);
      for (let c = 0; c < vocabulary; c++) {
        const slope = softCap > 0 ? 1 - (token.logits[c] / softCap) ** 2 : 1;
        const gradient = round(slope * token.gradients[c]);
        for (let j = 0; j < hidden; j++) {
          dxRow[j] += gradient * wAt(c * hidden + j);
          if (weightSums) weightSums[c * hidden + j] += gradient * xAt(t * hidden + j);
        }
      }
      if (dx) hostData(dx).set(dxRow, t * hidden);
    },
  };
}
