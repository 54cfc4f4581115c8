import { runOp, type Arrays, type Op } from '@qdylora/contract';
import { expect } from 'vitest';
import { createCpuBackend } from '../src/index.ts';

const backend = await createCpuBackend({ numThreads: 1 });
let kernelCalls = 0;

/** The backend with kernels that only count their calls. */
const countingBackend = {
  ...backend,
  kernel: () => () => {
    kernelCalls++;
  },
};

/** Expects that `runOp` refuses the call with this error before it calls a kernel. */
export function expectRefusal(
  op: Op,
  inputs: Arrays,
  attributes: unknown,
  error: { readonly code: string; readonly message?: unknown },
  suppliedOutputs: Arrays = {},
): void {
  kernelCalls = 0;
  expect(
    () => runOp(countingBackend, op, inputs, attributes, suppliedOutputs),
    `${op.name} ${Object.keys(inputs).join(', ')}`,
  ).toThrow(expect.objectContaining(error));
  expect(kernelCalls, op.name).toBe(0);
}
