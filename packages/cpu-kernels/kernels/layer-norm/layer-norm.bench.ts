import { createHostBackend, runOp } from '@qdylora/contract';
import { layerNorm, layerNormBackward } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

for (const [tokens, hidden] of [
  [2048, 768],
  [2048, 4096],
] as const) {
  const x = normalView(1, 'x', [tokens, hidden]);
  const weight = normalView(1, 'w', [hidden]);
  const bias = normalView(1, 'b', [hidden]);
  const dy = normalView(1, 'dy', [tokens, hidden]);
  const label = `${tokens}×${hidden}`;
  const { mean, inverseDeviation } = runOp(
    createHostBackend(),
    layerNorm,
    { x, weight, bias },
    { epsilon: 1e-5 },
  );
  const count = tokens * hidden;
  await benchKernel(layerNorm, [
    { label, inputs: { x, weight, bias }, attributes: { epsilon: 1e-5 }, bytes: 8 * count },
  ]);
  await benchKernel(layerNormBackward, [
    {
      label: `${label} frozen`,
      inputs: { x, weight, mean, inverseDeviation, dy },
      attributes: { accumulate: false },
      bytes: 12 * count,
    },
    {
      label: `${label} with gradients`,
      inputs: { x, weight, mean, inverseDeviation, dy },
      attributes: { accumulate: false },
      suppliedOutputs: { dWeight: normalView(1, 'dw', [hidden]), dBias: normalView(1, 'db', [hidden]) },
      bytes: 12 * count,
      bound: () => 1e-2,
    },
  ]);
}
