import { f32View } from '@qdylora/contract';
import { adamwRates, adamwStep } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const count = 2 ** 21;
const attributes = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const update = { learningRate: 1e-3, weightDecay: 0.01, step: 3, gradientScale: 1 };
const rates = f32View([4], adamwRates(attributes, update));
const suppliedOutputs = { parameter: normalView(1, 'p', [count]), m: f32View([count]), v: f32View([count]) };
await benchKernel(adamwStep, [
  {
    label: `${count} parameters`,
    inputs: { gradient: normalView(1, 'g', [count]), rates },
    attributes,
    suppliedOutputs,
    bytes: 28 * count,
  },
]);
