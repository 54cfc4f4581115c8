import { f32View } from '@qdylora/contract';
import { lionStep } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2 ** 21;
const attributes = { learningRate: 1e-4, beta1: 0.9, beta2: 0.99, weightDecay: 0.01, gradientScale: 1 };
const given = { parameter: normalView(1, 'p', [count]), m: f32View([count]) };
await benchKernel(lionStep, [
  {
    label: `${count} parameters`,
    inputs: { gradient: normalView(1, 'g', [count]) },
    attributes,
    given,
    bytes: 20 * count,
  },
]);
