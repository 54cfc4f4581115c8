import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { activationGate, activationGateBackward, ACTIVATION_KINDS } from '@qdylora/tensor';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { i32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const activationGateKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(activationGate, ({ gate, up }, { y }, { kind }) => {
    const n = elementCount(y.shape);
    launch({
      module: 'activation-gate',
      kernel: `activationGate${dtypeSuffix(gate)}`,
      ...elementwiseGrid(n),
      arguments: [input(gate), input(up), output(y), u64(n), i32(ACTIVATION_KINDS.indexOf(kind))],
    });
  }),
  bindKernel(activationGateBackward, ({ gate, up, dy }, { dGate, dUp }, { kind }) => {
    const n = elementCount(dy.shape);
    launch({
      module: 'activation-gate',
      kernel: `activationGateBackward${dtypeSuffix(gate)}`,
      ...elementwiseGrid(n),
      arguments: [
        input(gate),
        input(up),
        input(dy),
        output(dGate),
        output(dUp),
        u64(n),
        i32(ACTIVATION_KINDS.indexOf(kind)),
      ],
    });
  }),
];
