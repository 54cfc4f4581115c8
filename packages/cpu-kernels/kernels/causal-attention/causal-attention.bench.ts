import { createHostBackend, f32View, i32View, runOp } from '@qdylora/contract';
import { causalAttention, causalAttentionBackward } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

interface Setting { readonly queries: number; readonly keys: number; readonly heads: number; readonly kvHeads: number; readonly headDim: number }
const attributesOf = ({ heads, kvHeads, headDim }: Setting) => ({ heads, kvHeads, headDim, window: 0, scale: 1 / Math.sqrt(headDim), softCap: 0, computeDtype: 'f32' as const });
const labelOf = ({ queries, keys, heads, kvHeads, headDim }: Setting): string => `${queries}/${keys} heads ${heads}/${kvHeads}×${headDim}`;
const inputsOf = ({ queries, keys, heads, kvHeads, headDim }: Setting) => ({
  q: normalView(1, 'q', [queries, heads * headDim]), k: normalView(1, 'k', [keys, kvHeads * headDim]), v: normalView(1, 'v', [keys, kvHeads * headDim]), querySegments: i32View([2], [0, queries]), keySegments: i32View([2], [0, keys]),
});
/** (query, key) pairs that a causal mask leaves. */
const pairs = ({ queries, keys, heads }: Setting): number => heads * (queries * (keys - queries) + (queries * (queries + 1)) / 2);

const training: Setting[] = [
  { queries: 512, keys: 512, heads: 9, kvHeads: 3, headDim: 64 }, { queries: 512, keys: 512, heads: 8, kvHeads: 8, headDim: 64 },
  { queries: 2048, keys: 2048, heads: 9, kvHeads: 3, headDim: 64 }, { queries: 512, keys: 512, heads: 16, kvHeads: 8, headDim: 128 },
];
const decoding: Setting[] = [{ queries: 1, keys: 4096, heads: 9, kvHeads: 3, headDim: 64 }, { queries: 1, keys: 4096, heads: 32, kvHeads: 8, headDim: 128 }, { queries: 1, keys: 4096, heads: 8, kvHeads: 8, headDim: 64 }];

await benchKernel(causalAttention, training.map((one) => ({ label: labelOf(one), inputs: inputsOf(one), attributes: attributesOf(one), flops: 4 * one.headDim * pairs(one) })));
await benchKernel(causalAttention, decoding.map((one) => ({ label: `decode ${labelOf(one)}`, inputs: inputsOf(one), attributes: attributesOf(one), bytes: 8 * one.keys * one.kvHeads * one.headDim })));
await benchKernel(causalAttentionBackward, training.map((one) => {
  const inputs = inputsOf(one), width = one.heads * one.headDim, small = f32View([one.queries, width]);
  return { label: labelOf(one), inputs: { ...inputs, ...forward(inputs, one), dy: normalView(1, 'dy', small.shape) }, attributes: attributesOf(one), flops: 10 * one.headDim * pairs(one) };
}));

/** y and logSumExp by the kernel's own forward would do for time, but the answer is checked too: they must fit the inputs, so they come from a run. */
function forward(inputs: ReturnType<typeof inputsOf>, one: Setting) {
  return runOp(createHostBackend(), causalAttention, inputs, attributesOf(one));
}
