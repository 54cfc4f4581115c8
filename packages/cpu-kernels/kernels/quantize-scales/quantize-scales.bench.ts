import { hostData } from '@qdylora/contract';
import { quantizeScales } from '@qdylora/quant';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const blocks = (4096 * 4096) / 64;
const absmax = normalView(1, 'absmax', [blocks]);
for (let i = 0; i < blocks; i++) hostData(absmax)[i] = Math.abs(hostData(absmax)[i]) + 2;
await benchKernel(quantizeScales, [
  {
    label: `scales of 4096×4096 weights`,
    inputs: { absmax },
    attributes: {},
    bytes: 9 * blocks,
    bound: () => 0,
  },
]);
