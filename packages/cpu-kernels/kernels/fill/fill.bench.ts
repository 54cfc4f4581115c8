import { fill } from '@qdylora/tensor';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2048 * 2048;
await benchKernel(fill, [
  { label: `${count} floats`, inputs: {}, attributes: { value: 1.5, shape: [count] }, bytes: 4 * count },
]);
