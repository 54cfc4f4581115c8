import { hostData, fromBfloat16, roundToBfloat16, type FloatView } from '@qdylora/contract';

/**
 * How a reference reads an operand: element i as a number, rounded to bfloat16 if the product computes in
 * bf16.
 */
export function readElement(view: FloatView, computeDtype: 'f32' | 'bf16' = 'f32'): (i: number) => number {
  const data = hostData(view);
  if (view.dtype === 'bf16') return (i) => fromBfloat16(data[i]);
  if (computeDtype === 'bf16') return (i) => roundToBfloat16(data[i]);
  return (i) => data[i];
}
