import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linearDistillation } from '@qdylora/tensor';
import { f32, i32, input, output, type CudaDoor } from '../../launch/launch.ts';
import { launchHead, launchRows } from '../linear-cross-entropy/head-rows.ts';
import { withMatrix } from '../linear/launch-product.ts';

export const linearDistillationKernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(linearDistillation, (inputs, outputs, attributes) => {
    const { topIds, topLogProbabilities, tailMass, ...head } = inputs;
    const { lossScale, softCap = 0, distillation } = attributes;
    const k = topIds.shape[1];
    launchHead(door, { ...head, ...outputs }, attributes, (chunk) => {
      const { logits, states, targets, tokenWeights, tokenLosses, rowsIn } = chunk;
      withMatrix(door, { dtype: 'f32', shape: [logits.shape[0], k] }, (topLogits) =>
        launchRows(door, chunk, {
          module: 'linear-distillation',
          kernel: 'distillRows',
          arguments: [
            output(logits),
            output(topLogits),
            input(states),
            input(targets),
            input(tokenWeights ?? states),
            i32(tokenWeights ? 1 : 0),
            input(rowsIn(topIds)),
            input(rowsIn(topLogProbabilities)),
            input(rowsIn(tailMass)),
            output(tokenLosses),
            i32(logits.shape[1]),
            i32(k),
            f32(softCap),
            f32(lossScale),
            f32(distillation),
            i32(outputs.dx ? 1 : 0),
          ],
        }),
      );
    });
  }),
];
