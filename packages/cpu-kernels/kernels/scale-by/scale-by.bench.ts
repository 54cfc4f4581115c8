import { scaleBy } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2048 * 2048;
await benchKernel(scaleBy, [
  {
    label: `${count} floats`,
    inputs: { x: normalView(1, 'x', [count]), factor: normalView(1, 'factor', [1]) },
    attributes: {},
    bytes: 8 * count,
  },
]);
