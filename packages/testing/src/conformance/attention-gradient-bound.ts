import { hostData, rounderTo, type ArrayView } from '@qdylora/contract';
import type { AttentionAttributes } from '@qdylora/tensor';
import { EPSILON, OPERAND_ROUNDING, SMALLEST_STEP, type Bound } from './tolerance.ts';

/** Operands of the gradients of attention, as `causalAttentionBackward` takes them. */
interface GradientInputs {
  readonly q: ArrayView<'f32'>;
  readonly k: ArrayView<'f32'>;
  readonly v: ArrayView<'f32'>;
  readonly y: ArrayView<'f32'>;
  readonly dy: ArrayView<'f32'>;
  readonly logSumExp: ArrayView<'f32'>;
  readonly querySegments: ArrayView<'i32'>;
  readonly keySegments: ArrayView<'i32'>;
  readonly alibiSlopes?: ArrayView<'f32'>;
}

/** A score that a query has: its head, and where the numbers of the query and of the key begin. */
interface Pair {
  readonly head: number;
  readonly query: number;
  readonly qAt: number;
  readonly kAt: number;
  /** Key position less query position. */
  readonly distance: number;
}

/** Below this exponentials are 0 in the kernels. */
const SMALLEST_WEIGHT = 1e-36;

/**
 * How far each element of dq, dk and dv may be off: the roundings of every step, added up over the keys (dq)
 * or the queries (dk, dv) of the element. With n = headDim:
 *
 * - score: n + 4 roundings of Σ|q·k|·scale; the cap adds 8 of the cap, ALiBi 3 of the bias and of the score.
 * - weight p = exp(score − logSumExp): relatively the error of its argument, and 4 + 2·|argument| roundings.
 * - slope of the cap, 1 − tanh²: twice the error of tanh.
 * - e = p·(dy·v − dy·y)·slope: n + 4 roundings of Σ|dy·v| + Σ|dy·y|, and those of p and of the slope.
 * - In two bytes p and e may each be rounded to another side: a step, which is two errors of a rounding, or
 *   the smallest step.
 * - The sums: a rounding of each term for every term, and 70 more for sums in tiles.
 */
export function attentionGradientBound(inputs: GradientInputs, attributes: AttentionAttributes): Bound {
  const { headDim, heads, kvHeads, scale, computeDtype } = attributes;
  const round = rounderTo(computeDtype);
  const [q, k, v, dy] = [inputs.q, inputs.k, inputs.v, inputs.dy].map((view) =>
    Float64Array.from(hostData(view), round),
  );
  const [y, exactDy] = [hostData(inputs.y), hostData(inputs.dy)];
  const logSumExp = hostData(inputs.logSumExp);
  const queries = inputs.q.shape[0];
  const terms = Math.max(queries * (heads / kvHeads), inputs.k.shape[0]);
  const ofSums = (terms + 70) * EPSILON;
  const step = computeDtype === 'f32' ? 0 : 2 * OPERAND_ROUNDING[computeDtype];
  const smallest = SMALLEST_STEP[computeDtype];
  const bounds = {
    dq: new Float64Array(q.length),
    dk: new Float64Array(k.length),
    dv: new Float64Array(v.length),
  };
  forEachPair(inputs, attributes, ({ head, query, qAt, kAt, distance }) => {
    let [dot, dotSize, dyv, dySize] = [0, 0, 0, 0];
    for (let d = 0; d < headDim; d++) {
      const product = q[qAt + d] * k[kAt + d];
      dot += product;
      dotSize += Math.abs(product);
      dyv += dy[qAt + d] * v[kAt + d] - exactDy[qAt + d] * y[qAt + d];
      dySize += Math.abs(dy[qAt + d] * v[kAt + d]) + Math.abs(exactDy[qAt + d] * y[qAt + d]);
    }
    const score = scoreOf(dot * scale, dotSize * scale, distance, head, inputs, attributes);
    const argument = score.value - logSumExp[head * queries + query];
    const p = Math.exp(argument);
    const ofArgument = score.error + 2 * EPSILON * (Math.abs(score.value) + Math.abs(argument));
    const ofWeight = Math.expm1(ofArgument) + (4 + 2 * Math.abs(argument)) * EPSILON;
    const e = Math.abs(p * dyv * score.slope);
    const pError = p * (ofWeight + step) + smallest + SMALLEST_WEIGHT;
    const eError =
      p * score.slope * (headDim + 4) * EPSILON * dySize +
      e * (ofWeight + step + 4 * EPSILON) +
      p * Math.abs(dyv) * score.slopeError +
      smallest +
      SMALLEST_WEIGHT * Math.abs(dyv);
    for (let d = 0; d < headDim; d++) {
      bounds.dv[kAt + d] += (pError + ofSums * p) * Math.abs(dy[qAt + d]);
      bounds.dq[qAt + d] += scale * (eError + ofSums * e) * Math.abs(k[kAt + d]);
      bounds.dk[kAt + d] += scale * (eError + ofSums * e) * Math.abs(q[qAt + d]);
    }
  });
  return (name, index) => bounds[name as keyof typeof bounds][index] + 2 ** -140;
}

/** A score and the slope of its cap, and how far they may be off. */
function scoreOf(
  product: number,
  size: number,
  distance: number,
  head: number,
  { alibiSlopes }: GradientInputs,
  { headDim, softCap }: AttentionAttributes,
) {
  const ofProduct = (headDim + 4) * EPSILON * size;
  const tanh = softCap > 0 ? Math.tanh(product / softCap) : 0;
  const bias = alibiSlopes ? hostData(alibiSlopes)[head] * distance : 0;
  const value = (softCap > 0 ? softCap * tanh : product) + bias;
  return {
    value,
    error:
      ofProduct +
      8 * EPSILON * softCap +
      (alibiSlopes ? 3 * EPSILON * (Math.abs(bias) + Math.abs(value)) : 0),
    slope: 1 - tanh ** 2,
    slopeError: softCap > 0 ? 2 * (ofProduct / softCap) + 10 * EPSILON : 0,
  };
}

/** Visits every query with every key that it sees. */
function forEachPair(
  { querySegments, keySegments }: GradientInputs,
  { heads, kvHeads, headDim, window }: AttentionAttributes,
  visit: (pair: Pair) => void,
): void {
  const [queryEnds, keyEnds] = [hostData(querySegments), hostData(keySegments)];
  for (let s = 0; s + 1 < queryEnds.length; s++)
    for (let query = queryEnds[s]; query < queryEnds[s + 1]; query++) {
      const last = keyEnds[s + 1] - (queryEnds[s + 1] - query);
      const first = window > 0 ? Math.max(keyEnds[s], last - window + 1) : keyEnds[s];
      for (let head = 0; head < heads; head++) {
        const kvHead = Math.floor((head * kvHeads) / heads);
        for (let key = first; key <= last; key++)
          visit({
            head,
            query,
            qAt: (query * heads + head) * headDim,
            kAt: (key * kvHeads + kvHead) * headDim,
            distance: key - last,
          });
      }
    }
}
