import { quantizeRows } from '@qdylora/tensor';
import { normalBfloat16View, normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const [rows, cols] = [16_384, 576];
await benchKernel(quantizeRows, [
  {
    label: `${rows}×${cols} bf16`,
    inputs: { weight: normalBfloat16View(1, 'w', [rows, cols]) },
    attributes: {},
    bytes: 3 * rows * cols,
  },
  {
    label: `${rows}×${cols} f32`,
    inputs: { weight: normalView(1, 'w', [rows, cols]) },
    attributes: {},
    bytes: 5 * rows * cols,
  },
]);
