import { softCap, softCapBackward } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

// One row of Gemma 2's logits, as in generation, and sixteen.
for (const rows of [1, 16]) {
  const count = rows * 256_000;
  const x = normalView(1, 'x', [count], 30);
  const dy = normalView(1, 'dy', [count]);
  const label = `${rows}×256000`;
  await benchKernel(softCap, [{ label, inputs: { x }, attributes: { cap: 30 }, bytes: 8 * count }]);
  await benchKernel(softCapBackward, [
    { label, inputs: { y: x, dy }, attributes: { cap: 30 }, bytes: 12 * count },
  ]);
}
