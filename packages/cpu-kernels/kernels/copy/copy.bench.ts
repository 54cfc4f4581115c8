import { copy } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2048 * 2048;
await benchKernel(copy, [
  { label: `${count} floats`, inputs: { x: normalView(1, 'x', [count]) }, attributes: {}, bytes: 8 * count },
]);
