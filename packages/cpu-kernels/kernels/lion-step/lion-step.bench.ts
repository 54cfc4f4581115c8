import { f32View } from '@qdylora/contract';
import { lionRates, lionStep } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2 ** 21;
const attributes = { beta1: 0.9, beta2: 0.99 };
const update = { learningRate: 1e-4, weightDecay: 0.01, gradientScale: 1 };
const rates = f32View([3], lionRates(update));
const suppliedOutputs = { parameter: normalView(1, 'p', [count]), m: f32View([count]) };
await benchKernel(lionStep, [
  {
    label: `${count} parameters`,
    inputs: { gradient: normalView(1, 'g', [count]), rates },
    attributes,
    suppliedOutputs,
    bytes: 20 * count,
  },
]);
