import { i32View } from '@qdylora/contract';
import { dropout } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2048 * 2048;
await benchKernel(dropout, [
  {
    label: `${count} floats`,
    inputs: { x: normalView(1, 'x', [count]), counter: i32View([1], [9]) },
    attributes: { probability: 0.1, key: 7 },
    bytes: 8 * count,
  },
]);
