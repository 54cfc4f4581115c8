import { createHostBackend, hostData, runOp, type Shape } from '@qdylora/contract';
import {
  dequantizeBlockwise,
  quantize4bit,
  quantizedAttributes,
  quantizedInputs,
  tileMatrix,
} from '@qdylora/quant';
import {
  linear,
  linearCrossEntropy,
  linearInputGradient,
  linearWeightGradient,
  rmsNorm,
  rmsNormBackward,
} from '@qdylora/tensor';
import {
  checkKernel,
  EPSILON,
  magnitudeBound,
  normalBfloat16View,
  normalHalfView,
  normalView,
  relativeBound,
} from '@qdylora/testing';
import { headBound, headTargets } from '@qdylora/testing/conformance';
import { expect, test } from 'vitest';
import { openCubins } from '../src/index.ts';
import { tensorCalls, tileCalls } from './attention-calls.ts';
import { createEmulatedBackend } from './emulated-backend.ts';
import { openEmulator, type EmulatedLaunch } from './emulator.ts';
import { withLargeTiles } from './large-tiles.ts';
import { productTileCalls } from './small-calls.ts';

// Paths of kernels that no conformance case takes.

const isDeep = process.env.QDYLORA_DEEP === '1';
const emulator = await openEmulator();
const cubins = await openCubins();

const AS_IN_BFLOAT16 =
  'float16 on compute_75 takes the paths of bfloat16, and its conformance cases run: QDYLORA_DEEP=1 runs it';
const LARGE_IN_FLOAT16 =
  'large tiles in float16 are small ones of more results, and the conformance cases run those: ' +
  'QDYLORA_DEEP=1 runs it';

const ptxFor =
  (target: string) =>
  (source: string): string =>
    Buffer.from(cubins.image(source, target)).toString('utf8');
const groups = (target = 'compute_80') => [
  {
    label: target,
    backends: [0, 1].map((seed) =>
      createEmulatedBackend({
        emulator: emulator!,
        ptxOf: ptxFor(target),
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
  ['f16', true],
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

test.skipIf(!emulator).for([
  ['f32', 'compute_80'],
  ['bf16', 'compute_80'],
  ['f16', 'compute_75'],
  ['f16', 'compute_70'],
] as const)(
  'attention agrees for heads of 32, 80 and 256, and for chunks of keys, in %s on %s',
  async ([computeDtype, target], { skip }) => {
    skip(!isDeep && target === 'compute_75', AS_IN_BFLOAT16);
    for (const { op, call } of tileCalls(computeDtype)) await checkKernel(op, groups(target), call);
  },
);

test.skipIf(!emulator)('attention by tensor cores agrees in each part of a tile, in bf16', async () => {
  const [{ label, backends }] = groups();
  for (const { op, call } of tensorCalls('bf16'))
    await checkKernel(op, [{ label, backends: backends.slice(0, 1) }], call);
});

/** Products of so many tiles of 128 × 128 that large tiles are chosen, with an odd depth. */
const LARGE = { rows: 130, columns: 64 * 128, depth: 41 } as const;

test.skipIf(!emulator).for([
  ['bf16', 'compute_80'],
  ['f16', 'compute_75'],
  ['f16', 'compute_70'],
] as const)(
  'large tiles agree, for float32 and %s operands on %s',
  async ([computeDtype, target], { skip }) => {
    skip(!isDeep && computeDtype === 'f16', LARGE_IN_FLOAT16);
    const { rows, columns, depth } = LARGE;
    const attributes = { computeDtype };
    const half = (name: string, shape: Shape) => normalHalfView(computeDtype, 1, name, shape);
    const [group] = groups(target);
    const once = [{ ...group, backends: group.backends.slice(1) }];
    const forward = { x: normalView(1, 'x', [rows, depth]), weight: half('w', [columns, depth]) };
    await checkKernel(linear, once, {
      inputs: forward,
      attributes,
      bound: magnitudeBound(linear, { inputs: forward, attributes }, depth + 3),
    });
    const backward = { dy: normalView(1, 'dy', [rows, depth]), weight: half('w', [depth, columns]) };
    await checkKernel(linearInputGradient, once, {
      inputs: backward,
      attributes: { ...attributes, accumulate: false },
      bound: magnitudeBound(
        linearInputGradient,
        { inputs: backward, attributes: { ...attributes, accumulate: false } },
        depth + 3,
      ),
    });
    const gradient = { dy: half('dy', [depth, rows]), x: half('x', [depth, columns]) };
    const suppliedOutputs = { dWeight: normalView(1, 'dw', [rows, columns]) };
    await checkKernel(linearWeightGradient, once, {
      inputs: gradient,
      attributes,
      suppliedOutputs,
      bound: magnitudeBound(
        linearWeightGradient,
        { inputs: gradient, attributes, suppliedOutputs },
        depth + 4,
      ),
    });
  },
);

test.skipIf(!emulator)('large tiles agree for biases, for sums and for adapters, in bf16', async () => {
  const emulatorOfLarge = {
    load: emulator!.load,
    run: (module: object, launch: EmulatedLaunch) => emulator!.run(module, withLargeTiles(launch)),
  };
  for (const { op, call } of productTileCalls(128, 'bf16')) {
    const backends = [createEmulatedBackend({ emulator: emulatorOfLarge, ptxOf: ptxFor('compute_80') })];
    await checkKernel(op, [{ label: 'large tiles', backends }], call);
  }
});

/** So large a vocabulary that the logits of 128 tokens exist at once: the last token is a second chunk. */
const HEAD = { tokens: 129, hidden: 8, vocabulary: 2 ** 17 + 8, seed: 1 } as const;

test.skipIf(!emulator)(
  'a head in several chunks of tokens agrees, on tensor cores',
  async ({ skip }) => {
    skip(!isDeep, '17 million logits in the emulator take minutes: QDYLORA_DEEP=1 runs it');
    const [group] = groups();
    const { tokens, hidden, vocabulary, seed } = HEAD;
    const inputs = {
      x: normalView(seed, 'x', [tokens, hidden]),
      weight: normalBfloat16View(seed, 'w', [vocabulary, hidden]),
      targets: headTargets(HEAD, 0.3),
      tokenWeights: undefined,
    };
    const attributes = { computeDtype: 'bf16', lossScale: 1 / tokens, gradient: true } as const;
    await checkKernel(linearCrossEntropy, [{ ...group, backends: group.backends.slice(0, 1) }], {
      inputs,
      attributes,
      suppliedOutputs: { dWeight: undefined },
      bound: headBound(HEAD, inputs, { factor: 1 / tokens, computeDtype: 'bf16' }),
    });
  },
  1_200_000,
);
