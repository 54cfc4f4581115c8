import { hostData, f32View, i32View, runOp, type Backend } from '@qdylora/contract';
import {
  causalAttention,
  causalAttentionBackward,
  type AttentionAttributes,
  type ComputeDtype,
} from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';
import { createCpuBackend } from '../../src/index.ts';

interface Setting {
  readonly lengths: readonly number[];
  readonly keys?: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window?: number;
  readonly computeDtype?: ComputeDtype;
}
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const keyLengths = ({ lengths, keys }: Setting): readonly number[] => (keys === undefined ? lengths : [keys]);
const attributesOf = ({
  heads,
  kvHeads,
  headDim,
  window = 0,
  computeDtype = 'f32',
}: Setting): AttentionAttributes => ({
  heads,
  kvHeads,
  headDim,
  window,
  scale: 1 / Math.sqrt(headDim),
  softCap: 0,
  computeDtype,
});
const labelOf = (one: Setting): string =>
  `${one.lengths.length > 1 ? `${one.lengths.length}×` : ''}${one.lengths[0]}/${keyLengths(one)[0]} ` +
  `${one.heads}/${one.kvHeads}×${one.headDim}${one.window ? ` window ${one.window}` : ''} ` +
  `${one.computeDtype ?? 'f32'}`;
const prefix = (sizes: readonly number[]) =>
  i32View(
    [sizes.length + 1],
    sizes.reduce<number[]>((ends, size) => [...ends, ends.at(-1)! + size], [0]),
  );
function inputsOf(one: Setting) {
  const { heads, kvHeads, headDim, lengths } = one;
  const queries = sum(lengths);
  const keys = sum(keyLengths(one));
  return {
    q: normalView(1, 'q', [queries, heads * headDim]),
    k: normalView(1, 'k', [keys, kvHeads * headDim]),
    v: normalView(1, 'v', [keys, kvHeads * headDim]),
    querySegments: prefix(lengths),
    keySegments: prefix(keyLengths(one)),
  };
}
/**
 * A score is off by two roundings of q and k where one side rounds and the checker doesn't: the answers of
 * bf16 are checked against float32 to that much.
 */
const boundOf = ({ computeDtype }: Setting) => (computeDtype === 'bf16' ? () => 0.1 : undefined);

const shapes = [
  { lengths: [512], heads: 9, kvHeads: 3, headDim: 64 },
  { lengths: [512], heads: 8, kvHeads: 8, headDim: 64 },
  { lengths: [2048], heads: 9, kvHeads: 3, headDim: 64 },
  { lengths: [512], heads: 16, kvHeads: 8, headDim: 128 },
  { lengths: [2048], heads: 16, kvHeads: 8, headDim: 128 },
  { lengths: [512, 512, 512, 512], heads: 9, kvHeads: 3, headDim: 64 },
  { lengths: Array.from({ length: 32 }, () => 64), heads: 9, kvHeads: 3, headDim: 64 },
  { lengths: [2048], heads: 9, kvHeads: 3, headDim: 64, window: 256 },
];
const training = (['f32', 'bf16'] as const).flatMap((computeDtype) =>
  shapes.map((shape): Setting => ({ ...shape, computeDtype })),
);
const decoding: Setting[] = [
  { heads: 9, kvHeads: 3, headDim: 64 },
  { heads: 32, kvHeads: 8, headDim: 128 },
  { heads: 8, kvHeads: 8, headDim: 64 },
].map((shape) => ({ ...shape, lengths: [1], keys: 4096 }));

await benchKernel(
  causalAttention,
  training.map((one) => {
    const inputs = inputsOf(one);
    const attributes = attributesOf(one);
    return {
      label: labelOf(one),
      inputs,
      attributes,
      flops: causalAttention.flops!(inputs, attributes),
      bound: boundOf(one),
    };
  }),
);
await benchKernel(
  causalAttention,
  decoding.map((one) => ({
    label: `decode ${labelOf(one)}`,
    inputs: inputsOf(one),
    attributes: attributesOf(one),
    bytes: 8 * one.keys! * one.kvHeads * one.headDim,
  })),
);
{
  using generic = await createCpuBackend({ level: 'generic' });
  await benchKernel(
    causalAttentionBackward,
    training.map((one) => {
      const inputs = {
        ...inputsOf(one),
        ...forward(generic, one),
        dy: normalView(1, 'dy', [sum(one.lengths), one.heads * one.headDim]),
      };
      const attributes = attributesOf(one);
      return {
        label: labelOf(one),
        inputs,
        attributes,
        flops: causalAttentionBackward.flops!(inputs, attributes),
        bound: boundOf(one),
      };
    }),
  );
}

/** y and logSumExp fit the inputs, so that the answer of backward can be checked. */
function forward(backend: Backend, one: Setting) {
  return backend.memory.scoped(() => {
    const { y, logSumExp } = runOp(backend, causalAttention, inputsOf(one), attributesOf(one));
    return {
      y: f32View(y.shape, Float32Array.from(hostData(y).subarray(0, y.shape[0] * y.shape[1]))),
      logSumExp: f32View(
        logSumExp.shape,
        Float32Array.from(hostData(logSumExp).subarray(0, logSumExp.shape[0] * logSumExp.shape[1])),
      ),
    };
  });
}
