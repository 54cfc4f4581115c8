import { createHostBackend, runOp } from '@qdylora/contract';
import { linearArgmax, quantizeRows } from '@qdylora/tensor';
import { normalBfloat16View, normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const [out, inFeatures] = [49_152, 576];
const weight = normalBfloat16View(1, 'w', [out, inFeatures]);
const x = normalView(1, 'x', [1, inFeatures]);
const codes = runOp(createHostBackend(), quantizeRows, { weight }, {});
await benchKernel(linearArgmax, [
  {
    label: `${out}×${inFeatures} bf16`,
    inputs: { x, weight },
    attributes: { computeDtype: 'bf16' },
    bytes: 2 * out * inFeatures,
  },
  {
    label: `${out}×${inFeatures} by codes`,
    inputs: { x, weight, ...codes },
    attributes: { computeDtype: 'bf16' },
    bytes: out * inFeatures,
  },
  {
    label: `${out}×${inFeatures} by codes, 8 tokens`,
    inputs: { x: normalView(1, 'x', [8, inFeatures]), weight, ...codes },
    attributes: { computeDtype: 'bf16' },
    bytes: 2 * out * inFeatures,
  },
]);
