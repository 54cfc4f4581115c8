import { createHostBackend, hostData, runOp } from '@qdylora/contract';
import {
  dequantizeBlockwise,
  quantize4bit,
  quantizedAttributes,
  quantizedInputs,
  tileMatrix,
} from '@qdylora/quant';
import { rmsNorm, rmsNormBackward } from '@qdylora/tensor';
import { checkKernel, EPSILON, normalView, relativeBound } from '@qdylora/testing';
import { expect, test } from 'vitest';
import { openCubins } from '../src/index.ts';
import { createEmulatedBackend } from './emulated-backend.ts';
import { openEmulator } from './emulator.ts';

// Paths of kernels that no conformance case takes.

const emulator = await openEmulator();
const cubins = await openCubins();

const groups = () => [
  {
    label: 'PTX',
    backends: [0, 1].map((seed) =>
      createEmulatedBackend({
        emulator: emulator!,
        ptxOf: (source) => Buffer.from(cubins.image(source, 'compute_80')).toString('utf8'),
        seed,
        isSkewed: seed === 1,
      }),
    ),
  },
];

test.skipIf(!emulator).each([
  ['f32', false],
  ['f32', true],
  ['bf16', false],
  ['bf16', true],
] as const)('a tiled matrix is decoded to the same bits, to %s, double: %s', async (valuesDtype, double) => {
  const shape = [64, 192] as const;
  const data = hostData(normalView(3, 'w', shape, 0.02));
  const matrix = tileMatrix(
    quantize4bit('nf4', { data, shape }, { blockSize: 64, doubleQuantization: double }),
  );
  expect(matrix.tiled).toBe(true);
  await checkKernel(dequantizeBlockwise, groups(), {
    inputs: quantizedInputs(matrix),
    attributes: { ...quantizedAttributes(matrix), valuesDtype },
    bound: () => 0,
  });
});

test.skipIf(!emulator)('rows longer than a block are normalized, forward and backward', async () => {
  const [tokens, hidden] = [3, 700]; // a block has 256 threads
  const x = normalView(1, 'x', [tokens, hidden]);
  const weight = normalView(1, 'w', [hidden]);
  const attributes = { epsilon: 1e-5, weightOffset: 0 };
  // a sum of positive squares, halved by the root; then a root, a division and two products
  const bound = relativeBound(hidden / 2 + 6);
  await checkKernel(rmsNorm, groups(), { inputs: { x, weight }, attributes, bound });
  const { inverseRms } = runOp(createHostBackend(), rmsNorm, { x, weight }, attributes);
  const r = Math.max(...hostData(inverseRms));
  // |x|, |dy|, |w| ≤ 6: as in the conformance case of the op
  const largest = 36 * r + 1296 * r ** 3 + 6;
  await checkKernel(rmsNormBackward, groups(), {
    inputs: { x, weight, inverseRms, dy: normalView(1, 'dy', [tokens, hidden]) },
    attributes: { ...attributes, accumulate: false },
    suppliedOutputs: { dWeight: normalView(1, 'dw', [hidden]) },
    bound: () => (hidden + 20) * EPSILON * largest,
  });
});
