import { i32View } from '@qdylora/contract';
import { embedding, embeddingBackward } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const rows = 8192;
const hidden = 576;
const tokens = 4096;
const ids = i32View(
  [tokens],
  Array.from({ length: tokens }, (_, t) => (t * 7919) % rows),
);
await benchKernel(embedding, [
  {
    label: `${tokens} of ${rows}×${hidden}`,
    inputs: { weight: normalView(1, 'w', [rows, hidden]), ids },
    attributes: {},
    bytes: 8 * tokens * hidden,
  },
]);
await benchKernel(embeddingBackward, [
  {
    label: `${tokens} of ${rows}×${hidden}`,
    inputs: { ids, dy: normalView(1, 'dy', [tokens, hidden]) },
    attributes: { rows },
    suppliedOutputs: { dWeight: normalView(1, 'dw', [rows, hidden]) },
    bytes: 12 * tokens * hidden,
  },
]);
