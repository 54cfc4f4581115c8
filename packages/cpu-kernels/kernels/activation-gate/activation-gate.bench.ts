import { activationGate, activationGateBackward, ACTIVATION_KINDS } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

for (const shape of [
  [2048, 1536],
  [2048, 4096],
] as const) {
  const count = shape[0] * shape[1];
  const gate = normalView(1, 'gate', shape);
  const up = normalView(1, 'up', shape);
  const dy = normalView(1, 'dy', shape);
  await benchKernel(
    activationGate,
    ACTIVATION_KINDS.map((kind) => ({
      label: `${kind} ${shape.join('×')}`,
      inputs: { gate, up },
      attributes: { kind },
      bytes: 12 * count,
    })),
  );
  await benchKernel(
    activationGateBackward,
    ACTIVATION_KINDS.map((kind) => ({
      label: `${kind} ${shape.join('×')}`,
      inputs: { gate, up, dy },
      attributes: { kind },
      bytes: 20 * count,
    })),
  );
}
