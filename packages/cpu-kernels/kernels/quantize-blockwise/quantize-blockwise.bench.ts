import { quantizeBlockwise } from '@qdylora/quant';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2048 * 2048;
for (const kind of ['nf4', 'fp4'] as const) {
  // weights per second = GB/s / 4.5625
  await benchKernel(quantizeBlockwise, [{ label: `${kind} ${count} weights`, inputs: { values: normalView(1, 'w', [count]) }, attributes: { kind, blockSize: 64 }, bytes: (4 + 0.5 + 4 / 64) * count, bound: () => 0 }]);
}
