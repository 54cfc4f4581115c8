import {
  hostData,
  assertDtype,
  assertShape,
  badArgument,
  defineOp,
  f32Array,
  floatArray,
  HostStorage,
  i32Array,
  optional,
  rounderTo,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';
import type { ComputeDtype } from '../products/linear.ts';
import { readElement } from '../elements/read-element.ts';

type F32 = ArrayView<'f32'>;
type Ids = ArrayView<'i32'>;

/**
 * `scale`: factor on q·k. `softCap`: 0, or c for scores c·tanh(score / c) (Gemma 2). `window`: 0, or the
 * number of keys that a query sees, its own included. `computeDtype`: with `bf16` or `f16` the operands of
 * all products are rounded to it (q, k, v, the weights p, and in backward dy and e); softmax and sums are
 * float32.
 */
export interface AttentionAttributes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  readonly softCap: number;
  readonly window: number;
  readonly computeDtype: ComputeDtype;
}

/** `alibiSlopes`: [heads]. */
interface AttentionInputs {
  [name: string]: ArrayView | undefined;
  q: FloatView;
  k: FloatView;
  v: FloatView;
  querySegments: Ids;
  keySegments: Ids;
  alibiSlopes?: F32;
}

const ATTENTION_INPUTS = {
  q: floatArray(2),
  k: floatArray(2),
  v: floatArray(2),
  querySegments: i32Array(1),
  keySegments: i32Array(1),
  alibiSlopes: optional(f32Array(1)),
};

/**
 * Causal attention over packed sequences.
 *
 * score = cap(scale · q·k) + alibiSlopes[h] · (key position − query position),   y = softmax(score) · v
 *
 * q: [queries, heads · headDim]   k, v: [keys, kvHeads · headDim], all of one float type
 * querySegments, keySegments: [segments + 1]   alibiSlopes: [heads]
 * →   y: as q   logSumExp: [heads, queries]
 *
 * - Segment s has the queries from querySegments[s] to querySegments[s + 1], and the keys likewise. It has at
 *   least as many keys as queries. Segments begin at 0 and rise.
 * - The last query of a segment is at the position of its last key. A query sees the keys of its segment up
 *   to its own position, and no other segment.
 * - Query head h reads kv head floor(h / (heads / kvHeads)).
 * - k and v may have unused rows after the last segment (a cache). Such rows of q get no y and no logSumExp.
 * - ALiBi: Press et al. 2022. Falcon scales its slopes; pass them scaled.
 */
export const causalAttention = defineOp({
  name: 'causal-attention',
  takes: ATTENTION_INPUTS,
  halves: ['q', 'k', 'v', 'y'],
  shapes(i: AttentionInputs, attributes: AttentionAttributes) {
    assertInputs('causal-attention', i, attributes);
    return {
      y: { dtype: i.q.dtype, shape: i.q.shape },
      logSumExp: { dtype: 'f32', shape: [attributes.heads, i.q.shape[0]] },
    };
  },
  flops: (inputs, attributes) => countOperations(inputs, attributes, 4),
  reference(inputs, { y, logSumExp }: { y: FloatView; logSumExp: F32 }, attributes) {
    const { headDim, computeDtype } = attributes;
    const queries = inputs.q.shape[0];
    const yData = hostData(y);
    const logSumExpData = hostData(logSumExp);
    const v = readElement(inputs.v, computeDtype);
    const round = rounderTo(computeDtype);
    forEachQuery(inputs, attributes, ({ head, query, firstKey, lastKey, qAt, kvAt, score }) => {
      const scores = Array.from({ length: lastKey - firstKey + 1 }, (_, j) => score(firstKey + j).value);
      const largest = scores.reduce((most, one) => Math.max(most, one), -Infinity);
      const weights = scores.map((s) => Math.exp(s - largest));
      const total = weights.reduce((a, b) => a + b, 0);
      logSumExpData[head * queries + query] = largest + Math.log(total);
      for (let d = 0; d < headDim; d++) {
        yData[qAt + d] = weights.reduce((sum, w, j) => sum + round(w) * v(kvAt(firstKey + j) + d), 0) / total;
      }
    });
  },
});

/**
 * With p = exp(score − logSumExp), e = p·(dy·v − dy·y)·(slope of the cap):
 * dv = pᵀ·dy,   dq = scale·e·k,   dk = scale·eᵀ·q.
 *
 * Queries and keys are the same tokens. The slopes of ALiBi are constants.
 */
export const causalAttentionBackward = defineOp({
  name: 'causal-attention-backward',
  takes: { ...ATTENTION_INPUTS, y: floatArray(2), logSumExp: f32Array(2), dy: floatArray(2) },
  halves: ['q', 'k', 'v', 'y', 'dy', 'dq', 'dk', 'dv'],
  shapes(
    i: AttentionInputs & { y: FloatView; logSumExp: F32; dy: FloatView },
    attributes: AttentionAttributes,
  ) {
    assertInputs('causal-attention-backward', i, attributes);
    for (const name of ['y', 'dy'] as const)
      assertShape('causal-attention-backward', name, i[name].shape, i.q.shape);
    assertShape('causal-attention-backward', 'logSumExp', i.logSumExp.shape, [
      attributes.heads,
      i.q.shape[0],
    ]);
    for (const name of ['y', 'dy'] as const)
      assertDtype('causal-attention-backward', name, i[name], i.q.dtype);
    const { dtype } = i.q;
    return {
      dq: { dtype, shape: i.q.shape },
      dk: { dtype, shape: i.k.shape },
      dv: { dtype, shape: i.v.shape },
    };
  },
  flops: (inputs, attributes) => countOperations(inputs, attributes, 10),
  reference(inputs, { dq, dk, dv }: { dq: FloatView; dk: FloatView; dv: FloatView }, attributes) {
    const yData = hostData(inputs.y);
    const dyData = hostData(inputs.dy);
    const logSumExpData = hostData(inputs.logSumExp);
    const { headDim, scale, computeDtype } = attributes;
    const queries = inputs.q.shape[0];
    const round = rounderTo(computeDtype);
    const [q, k, v, dy] = [inputs.q, inputs.k, inputs.v, inputs.dy].map((array) =>
      readElement(array, computeDtype),
    ) as [Read, Read, Read, Read];
    const sums = {
      dq: new Float64Array(hostData(dq).length),
      dk: new Float64Array(hostData(dk).length),
      dv: new Float64Array(hostData(dv).length),
    };
    forEachQuery(inputs, attributes, ({ head, query, firstKey, lastKey, qAt, kvAt, score }) => {
      let outputDot = 0; // dy · y of this query
      for (let d = 0; d < headDim; d++) outputDot += dyData[qAt + d] * yData[qAt + d];
      for (let key = firstKey; key <= lastKey; key++) {
        const at = kvAt(key);
        const { value, slope } = score(key);
        const p = Math.exp(value - logSumExpData[head * queries + query]);
        let dyv = 0;
        for (let d = 0; d < headDim; d++) dyv += dy(qAt + d) * v(at + d);
        const pRounded = round(p);
        const e = round(p * (dyv - outputDot) * slope);
        for (let d = 0; d < headDim; d++) {
          sums.dv[at + d] += pRounded * dy(qAt + d);
          sums.dq[qAt + d] += scale * e * k(at + d);
          sums.dk[at + d] += scale * e * q(qAt + d);
        }
      }
    });
    hostData(dq).set(sums.dq);
    hostData(dk).set(sums.dk);
    hostData(dv).set(sums.dv);
  },
});

/** Operations of a call; undefined if the segments are not in host memory. */
function countOperations(
  { querySegments, keySegments }: AttentionInputs,
  { heads, headDim, window }: AttentionAttributes,
  perNumberOfAScore: number,
): number | undefined {
  if (!(querySegments.storage instanceof HostStorage && keySegments.storage instanceof HostStorage))
    return undefined;
  const queryBounds = hostData(querySegments);
  const keyBounds = hostData(keySegments);
  let scores = 0; // of one head
  for (let s = 0; s + 1 < querySegments.shape[0]; s++) {
    const queries = queryBounds[s + 1] - queryBounds[s];
    const keys = keyBounds[s + 1] - keyBounds[s];
    const earlier = keys - queries;
    // queries that no window holds back
    const unbounded = window ? Math.min(queries, Math.max(0, window - earlier)) : queries;
    scores += unbounded * (earlier + 1) + (unbounded * (unbounded - 1)) / 2 + (queries - unbounded) * window;
  }
  return perNumberOfAScore * headDim * heads * scores;
}

function assertInputs(
  op: string,
  i: AttentionInputs,
  { heads, kvHeads, headDim, softCap, window }: AttentionAttributes,
): void {
  const areHeads = isCount(heads) && isCount(kvHeads) && isCount(headDim) && heads % kvHeads === 0;
  if (!areHeads)
    throw badArgument(
      op,
      `heads, kvHeads and headDim must be whole numbers ≥ 1, and kvHeads must divide heads (got ` +
        `${heads}, ${kvHeads} and ${headDim})`,
    );
  if (!(softCap >= 0 && softCap < Infinity && Number.isInteger(window) && window >= 0))
    throw badArgument(
      op,
      `softCap must be a finite number ≥ 0, and window a whole number ≥ 0 (got ${softCap} and ${window})`,
    );
  assertShape(op, 'q', i.q.shape, [-1, heads * headDim]);
  assertShape(op, 'k', i.k.shape, [-1, kvHeads * headDim]);
  assertShape(op, 'v', i.v.shape, i.k.shape);
  for (const name of ['k', 'v'] as const) assertDtype(op, name, i[name], i.q.dtype);
  assertShape(op, 'keySegments', i.keySegments.shape, i.querySegments.shape);
  if (i.alibiSlopes) assertShape(op, 'alibiSlopes', i.alibiSlopes.shape, [heads]);
}

const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1;

type Read = (i: number) => number;

/** `slope`: derivative of the score with respect to scale · q·k. */
interface Score {
  readonly value: number;
  readonly slope: number;
}
interface QueryVisit {
  head: number;
  query: number;
  firstKey: number;
  lastKey: number;
  qAt: number;
  kvAt(key: number): number;
  score(key: number): Score;
}

/**
 * Visits each (head, query) with the range of keys that it sees (inclusive), where its numbers are, and its
 * scores.
 */
function forEachQuery(
  inputs: AttentionInputs,
  { heads, kvHeads, headDim, window, scale, softCap, computeDtype }: AttentionAttributes,
  visit: (v: QueryVisit) => void,
): void {
  const { querySegments, keySegments, alibiSlopes } = inputs;
  const q = readElement(inputs.q, computeDtype);
  const k = readElement(inputs.k, computeDtype);
  const queryBounds = hostData(querySegments);
  const keyBounds = hostData(keySegments);
  const slopes = alibiSlopes && hostData(alibiSlopes);
  for (let s = 0; s + 1 < querySegments.shape[0]; s++) {
    const q0 = queryBounds[s];
    const q1 = queryBounds[s + 1];
    const k0 = keyBounds[s];
    const k1 = keyBounds[s + 1];
    for (let query = q0; query < q1; query++) {
      const lastKey = k1 - (q1 - query);
      const firstKey = window > 0 ? Math.max(k0, lastKey - window + 1) : k0;
      for (let head = 0; head < heads; head++) {
        const kvHead = Math.floor(head / (heads / kvHeads));
        const qAt = (query * heads + head) * headDim;
        const kvAt: Read = (key) => (key * kvHeads + kvHead) * headDim;
        const score = (key: number): Score => {
          let dot = 0;
          for (let d = 0; d < headDim; d++) dot += q(qAt + d) * k(kvAt(key) + d);
          const tanh = softCap > 0 ? Math.tanh((dot * scale) / softCap) : 0;
          const bias = slopes ? slopes[head] * (key - lastKey) : 0;
          return { value: (softCap > 0 ? softCap * tanh : dot * scale) + bias, slope: 1 - tanh ** 2 };
        };
        visit({ head, query, firstKey, lastKey, qAt, kvAt, score });
      }
    }
  }
}

/** `causalAttention` with the gradients of q, k and v. The slopes of ALiBi have none. */
export const differentiableCausalAttention: DifferentiableOp<typeof causalAttention> = {
  op: causalAttention,
  usesOutputs: ['y', 'logSumExp'],
  backward({ run, inputs, outputs, gradients, attributes }) {
    const { dq, dk, dv } = run(
      causalAttentionBackward,
      { dy: gradients.y, ...inputs, ...outputs },
      attributes,
    );
    return { q: dq, k: dk, v: dv };
  },
};
