import { createHostBackend, runOp } from '@qdylora/contract';
import { residualNorm, rmsNorm, rmsNormBackward } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const attributes = { epsilon: 1e-5, weightOffset: 0 };
for (const [tokens, hidden] of [
  [2048, 576],
  [1024, 2048],
  [1024, 4096],
] as const) {
  const x = normalView(1, 'x', [tokens, hidden]);
  const weight = normalView(1, 'w', [hidden]);
  const dy = normalView(1, 'dy', [tokens, hidden]);
  const label = `${tokens}×${hidden}`;
  const count = tokens * hidden;
  const { inverseRms } = runOp(createHostBackend(), rmsNorm, { x, weight }, attributes);
  await benchKernel(rmsNorm, [{ label, inputs: { x, weight }, attributes, bytes: 8 * count }]);
  await benchKernel(residualNorm, [
    { label, inputs: { a: x, b: dy, weight }, attributes, bytes: 16 * count },
  ]);
  await benchKernel(rmsNormBackward, [
    {
      label: `${label} frozen`,
      inputs: { x, weight, inverseRms, dy },
      attributes: { ...attributes, accumulate: false },
      bytes: 12 * count,
    },
    {
      label: `${label} with dWeight`,
      inputs: { x, weight, inverseRms, dy },
      attributes: { ...attributes, accumulate: false },
      suppliedOutputs: { dWeight: normalView(1, 'dw', [hidden]) },
      bytes: 12 * count,
      bound: () => 1e-2,
    },
  ]);
}
