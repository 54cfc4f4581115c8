import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linearCrossEntropyTopK } from '@qdylora/tensor';
import { i32, input, output, type CudaDoor } from '../../launch/launch.ts';
import { launchHead, launchLogitGradients, launchRows } from '../linear-cross-entropy/head-rows.ts';

export const crossEntropyTopKKernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(linearCrossEntropyTopK, (inputs, outputs, attributes) => {
    const { topIds, topLogProbabilities, tailMass, ...head } = outputs;
    launchHead(door, { ...inputs, ...head }, attributes, (chunk) => {
      const { logits, states, targets, rowsIn } = chunk;
      launchRows(door, chunk, {
        module: 'linear-cross-entropy-top-k',
        kernel: 'topClasses',
        arguments: [
          input(logits),
          input(states),
          input(targets),
          output(rowsIn(topIds)),
          output(rowsIn(topLogProbabilities)),
          output(rowsIn(tailMass)),
          i32(logits.shape[1]),
          i32(attributes.topK),
        ],
      });
      if (head.dx) launchLogitGradients(door, chunk, attributes);
    });
  }),
];
