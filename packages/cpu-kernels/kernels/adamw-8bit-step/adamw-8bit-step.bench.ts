import { f32View, viewOf } from '@qdylora/contract';
import { signedDynamicMap, unsignedDynamicMap } from '@qdylora/quant';
import { adamw8bitRates, adamw8bitStep, adamwRates, adamwStep, stateBlocks } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const attributes = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const update = { learningRate: 1e-3, weightDecay: 0.01, step: 3, gradientScale: 1 };
const rates = f32View([4], adamwRates(attributes, update));
const rates8bit = f32View([4], adamw8bitRates(attributes, update));
const maps = { mMap: f32View([256], signedDynamicMap()), vMap: f32View([256], unsignedDynamicMap()) };

// Beside the 32-bit step over the same numbers: what 8 bits cost, or save, in time. The first shape is larger
// than any cache, the others are adapters of rank 64.
for (const shape of [
  [512, 4096],
  [64, 576],
  [64, 4096],
] as const) {
  const [rows, columns] = shape;
  const count = rows * columns;
  const label = shape.join('x');
  const scales = [rows, stateBlocks(columns)];
  const gradient = normalView(1, 'g', shape, 1e-3);
  const parameter = normalView(1, 'p', shape);
  const codes = () => viewOf('u8', shape, new Uint8Array(count));
  await benchKernel(adamwStep, [
    {
      label,
      inputs: { gradient, rates },
      attributes,
      suppliedOutputs: { parameter, m: f32View(shape), v: f32View(shape) },
      bytes: 28 * count,
    },
  ]);
  await benchKernel(adamw8bitStep, [
    {
      label,
      inputs: { gradient, rates: rates8bit, ...maps },
      attributes: { beta1: attributes.beta1, beta2: attributes.beta2 },
      suppliedOutputs: {
        parameter,
        mCodes: codes(),
        mAbsmax: f32View(scales),
        vCodes: codes(),
        vAbsmax: f32View(scales),
      },
      bytes: 16 * count,
      // two steps: a rounded value may fall on the other side of a limit, and move the next step
      bound: (name) => (/Codes/.test(name) ? 1 : update.learningRate),
    },
  ]);
}
