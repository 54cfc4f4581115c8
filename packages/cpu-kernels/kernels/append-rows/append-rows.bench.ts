import { i32View } from '@qdylora/contract';
import { appendRows } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const tokens = 2048;
const width = 2048;
await benchKernel(appendRows, [
  {
    label: `${tokens} rows of ${width} into ${2 * tokens}`,
    inputs: { x: normalView(1, 'x', [tokens, width]), segments: i32View([2], [0, tokens + 7]) },
    attributes: { rows: 2 * tokens },
    suppliedOutputs: { y: normalView(1, 'y', [2 * tokens, width]) },
    bytes: 8 * tokens * width,
  },
]);
