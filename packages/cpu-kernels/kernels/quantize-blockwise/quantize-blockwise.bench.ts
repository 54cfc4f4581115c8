import { quantizeBlockwise } from '@qdylora/quant';
import { normalBfloat16View, normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2048 * 2048;
const values = normalView(1, 'w', [count]);
const halves = normalBfloat16View(1, 'w', [count]);
for (const kind of ['nf4', 'fp4'] as const) {
  // weights per second = GB/s / 4.5625, and / 2.5625 from bfloat16
  await benchKernel(quantizeBlockwise, [
    {
      label: `${kind} ${count} weights`,
      inputs: { values },
      attributes: { kind, blockSize: 64 },
      bytes: (4 + 0.5 + 4 / 64) * count,
      bound: () => 0,
    },
    {
      label: `${kind} ${count} bf16 weights`,
      inputs: { values: halves },
      attributes: { kind, blockSize: 64 },
      bytes: (2 + 0.5 + 4 / 64) * count,
      bound: () => 0,
    },
  ]);
}
