import { f32View, viewOf } from '@qdylora/contract';
import { signedDynamicMap } from '@qdylora/quant';
import { lion8bitStep, lionRates, lionStep, stateBlocks } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const shape = [512, 4096] as const;
const [rows, columns] = shape;
const count = rows * columns;
const label = shape.join('x');
const attributes = { beta1: 0.9, beta2: 0.99 };
const update = { learningRate: 1e-4, weightDecay: 0.01, gradientScale: 1 };
const rates = f32View([3], lionRates(update));
const gradient = normalView(1, 'g', shape, 1e-3);
const parameter = normalView(1, 'p', shape);
const mMap = f32View([256], signedDynamicMap());

// Beside the 32-bit step over the same numbers.
await benchKernel(lionStep, [
  {
    label,
    inputs: { gradient, rates },
    attributes,
    suppliedOutputs: { parameter, m: f32View(shape) },
    bytes: 20 * count,
  },
]);
await benchKernel(lion8bitStep, [
  {
    label,
    inputs: { gradient, rates, mMap },
    attributes,
    suppliedOutputs: {
      parameter,
      mCodes: viewOf('u8', shape, new Uint8Array(count)),
      mAbsmax: f32View([rows, stateBlocks(columns)]),
    },
    bytes: 14 * count,
    // two steps: a rounded value may fall on the other side of a limit, and move the next step
    bound: (name) => (/Codes/.test(name) ? 1 : 2 * update.learningRate),
  },
]);
