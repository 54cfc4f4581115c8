import { assertShape, defineOp, type ArrayView } from '@qdylora/contract';
import type { DifferentiableOp } from '../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;
type Ids = ArrayView<'i32'>;

/** `scale`: factor on q·k. `window`: 0, or how many positions back (itself included) a token sees. */
export interface AttentionAttributes { readonly heads: number; readonly kvHeads: number; readonly headDim: number; readonly scale: number; readonly window: number }

interface AttentionInputs { [name: string]: ArrayView | undefined; q: F32; k: F32; v: F32; querySegments: Ids; keySegments: Ids }

/**
 * Causal attention over packed sequences. Segment s has the queries querySegments[s]…querySegments[s+1] and the keys keySegments[s]…keySegments[s+1];
 * its last query lines up with its last key, so query i sees keys 0 … i + (keys − queries) of its own segment and nothing of another.
 * Query head h reads kv head floor(h / (heads / kvHeads)).
 * q: [queries, heads · headDim]  k, v: [keys, kvHeads · headDim]  segments: [segments + 1]  →  y: [queries, heads · headDim]  logSumExp: [heads, queries]
 */
export const causalAttention = defineOp({
  name: 'causal-attention',
  shapes(i: AttentionInputs, { heads, kvHeads, headDim }: AttentionAttributes) {
    assertShape('causal-attention', 'q', i.q.shape, [-1, heads * headDim]);
    assertShape('causal-attention', 'k', i.k.shape, [-1, kvHeads * headDim]);
    assertShape('causal-attention', 'v', i.v.shape, i.k.shape);
    assertShape('causal-attention', 'keySegments', i.keySegments.shape, i.querySegments.shape);
    return { y: { dtype: 'f32', shape: i.q.shape }, logSumExp: { dtype: 'f32', shape: [heads, i.q.shape[0]!] } };
  },
  flops: (inputs, attributes) => 4 * attributes.headDim * countScores(inputs, attributes),
  reference(inputs, { y, logSumExp }: { y: F32; logSumExp: F32 }, attributes) {
    const { headDim } = attributes, queries = inputs.q.shape[0]!;
    forEachQuery(inputs, attributes, ({ head, query, firstKey, lastKey, qAt, kvAt }) => {
      const scores = Array.from({ length: lastKey - firstKey + 1 }, (_, j) => score(inputs, attributes, qAt, kvAt(firstKey + j)));
      const largest = Math.max(...scores), weights = scores.map((s) => Math.exp(s - largest)), total = weights.reduce((a, b) => a + b, 0);
      logSumExp.data[head * queries + query] = largest + Math.log(total);
      for (let d = 0; d < headDim; d++) {
        y.data[qAt + d] = weights.reduce((sum, w, j) => sum + w * inputs.v.data[kvAt(firstKey + j) + d]!, 0) / total;
      }
    });
  },
});

/** With p = exp(score − logSumExp) and e = p·(dy·v − dy·y):  dv = pᵀ·dy,  dq = scale·e·k,  dk = scale·eᵀ·q.  Queries and keys are the same tokens. */
export const causalAttentionBackward = defineOp({
  name: 'causal-attention-backward',
  shapes(i: AttentionInputs & { y: F32; logSumExp: F32; dy: F32 }, _: AttentionAttributes) {
    assertShape('causal-attention-backward', 'dy', i.dy.shape, i.q.shape);
    return { dq: { dtype: 'f32', shape: i.q.shape }, dk: { dtype: 'f32', shape: i.k.shape }, dv: { dtype: 'f32', shape: i.v.shape } };
  },
  flops: (inputs, attributes) => 10 * attributes.headDim * countScores(inputs, attributes),
  reference(inputs, { dq, dk, dv }: { dq: F32; dk: F32; dv: F32 }, attributes) {
    const { q, k, v, y, logSumExp, dy } = inputs, { headDim, scale } = attributes, queries = q.shape[0]!;
    const sums = { dq: new Float64Array(dq.data.length), dk: new Float64Array(dk.data.length), dv: new Float64Array(dv.data.length) };
    forEachQuery(inputs, attributes, ({ head, query, firstKey, lastKey, qAt, kvAt }) => {
      let own = 0;
      for (let d = 0; d < headDim; d++) own += dy.data[qAt + d]! * y.data[qAt + d]!;
      for (let key = firstKey; key <= lastKey; key++) {
        const at = kvAt(key), p = Math.exp(score(inputs, attributes, qAt, at) - logSumExp.data[head * queries + query]!);
        let dyv = 0;
        for (let d = 0; d < headDim; d++) dyv += dy.data[qAt + d]! * v.data[at + d]!;
        const e = p * (dyv - own) * scale;
        for (let d = 0; d < headDim; d++) {
          sums.dv[at + d]! += p * dy.data[qAt + d]!;
          sums.dq[qAt + d]! += e * k.data[at + d]!;
          sums.dk[at + d]! += e * q.data[qAt + d]!;
        }
      }
    });
    dq.data.set(sums.dq); dk.data.set(sums.dk); dv.data.set(sums.dv);
  },
});

/** Scores q·k that a call needs, over all heads. */
function countScores({ querySegments, keySegments }: AttentionInputs, { heads, window }: AttentionAttributes): number {
  let scores = 0;
  for (let s = 0; s + 1 < querySegments.shape[0]!; s++) {
    const queries = querySegments.data[s + 1]! - querySegments.data[s]!, keys = keySegments.data[s + 1]! - keySegments.data[s]!;
    for (let i = 0; i < queries; i++) scores += Math.min(i + keys - queries + 1, window || Infinity);
  }
  return heads * scores;
}

interface QueryVisit { head: number; query: number; firstKey: number; lastKey: number; qAt: number; kvAt(key: number): number }

/** Visits each (head, query) with the range of keys that it sees (inclusive) and where its numbers are. */
function forEachQuery(inputs: AttentionInputs, { heads, kvHeads, headDim, window }: AttentionAttributes, visit: (v: QueryVisit) => void): void {
  const { querySegments, keySegments } = inputs;
  for (let s = 0; s + 1 < querySegments.shape[0]!; s++) {
    const q0 = querySegments.data[s]!, q1 = querySegments.data[s + 1]!, k0 = keySegments.data[s]!, k1 = keySegments.data[s + 1]!;
    for (let query = q0; query < q1; query++) {
      const lastKey = k1 - (q1 - query), firstKey = window > 0 ? Math.max(k0, lastKey - window + 1) : k0;
      for (let head = 0; head < heads; head++) {
        const kvHead = Math.floor(head / (heads / kvHeads));
        visit({ head, query, firstKey, lastKey, qAt: (query * heads + head) * headDim, kvAt: (key) => (key * kvHeads + kvHead) * headDim });
      }
    }
  }
}

function score({ q, k }: AttentionInputs, { headDim, scale }: AttentionAttributes, qAt: number, kAt: number): number {
  let dot = 0;
  for (let d = 0; d < headDim; d++) dot += q.data[qAt + d]! * k.data[kAt + d]!;
  return dot * scale;
}

export const differentiableCausalAttention: DifferentiableOp<typeof causalAttention> = {
  op: causalAttention,
  usesOutputs: ['y', 'logSumExp'],
  backward({ run, inputs, outputs, gradients, attributes }) {
    const { dq, dk, dv } = run(causalAttentionBackward, { ...inputs, ...outputs, dy: gradients.y }, attributes);
    return { q: dq, k: dk, v: dv };
  },
};
