import { add, addInto } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2048 * 2048;
const a = normalView(1, 'a', [count]);
const b = normalView(1, 'b', [count]);
await benchKernel(add, [{ label: `${count} floats`, inputs: { a, b }, attributes: {}, bytes: 12 * count }]);
await benchKernel(addInto, [
  {
    label: `${count} floats`,
    inputs: { x: a },
    suppliedOutputs: { sum: b },
    attributes: {},
    bytes: 12 * count,
  },
]);
