import { activation, activationBackward, ACTIVATION_KINDS } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

for (const shape of [
  [2048, 1536],
  [2048, 4096],
] as const) {
  const count = shape[0] * shape[1];
  const x = normalView(1, 'x', shape);
  const dy = normalView(1, 'dy', shape);
  await benchKernel(
    activation,
    ACTIVATION_KINDS.map((kind) => ({
      label: `${kind} ${shape.join('×')}`,
      inputs: { x },
      attributes: { kind },
      bytes: 8 * count,
    })),
  );
  await benchKernel(
    activationBackward,
    ACTIVATION_KINDS.map((kind) => ({
      label: `${kind} ${shape.join('×')}`,
      inputs: { x, dy },
      attributes: { kind },
      bytes: 12 * count,
    })),
  );
}
