import { createHostBackend, hostData, opsOf, type Backend } from '@qdylora/contract';
import * as quant from '@qdylora/quant';
import { decodedWeight } from '@qdylora/tensor';
import { createFakeDevice, normalView } from '@qdylora/testing';
import { expect, it } from 'vitest';
import { checkBuildOptions, someBackend, someQuantization } from './check-build-options.ts';
import { quantizeLevels } from './quantize-levels.ts';
import { quantizeOn } from './quantize-on.ts';

const { dequantizeNf4, quantizeNf4, threeBitMatrix } = quant;

const SHAPE = [64, 128] as const;
const VALUES = hostData(normalView(3, 'w', [SHAPE[0] * SHAPE[1]]));
const QUANTIZATION = { kind: 'nf4', levels: [3, 4, 8] } as const;

const leveled = async (backend: Backend, values: Float32Array | null = VALUES) =>
  quantizeLevels(backend, await quantizeOn(backend, VALUES, SHAPE, QUANTIZATION), values, QUANTIZATION);

it.each([
  ['in host memory', createHostBackend()],
  ['in tiles', { ...createHostBackend(), packedLayout: 'tiles' } as Backend],
  ['on a device', createFakeDevice({ ops: opsOf(quant) })],
])('%s, each level decodes to what it says', async (_, backend) => {
  const weight = await leveled(backend);
  const nf4 = quantizeNf4({ data: VALUES, shape: SHAPE });
  const four = dequantizeNf4(nf4);
  const rest = dequantizeNf4(quantizeNf4({ data: VALUES.map((w, i) => w - four[i]), shape: SHAPE }));
  expect(await decodedWeight(weight, backend)).toEqual(four);
  expect(await decodedWeight(weight.otherLevels!.get(3)!, backend)).toEqual(
    dequantizeNf4(threeBitMatrix(nf4, VALUES)),
  );
  expect(await decodedWeight(weight.otherLevels!.get(8)!, backend)).toEqual(four.map((w, i) => w + rest[i]));
});

it('a matrix that is stored in 4 bits has 3, fitted to what it decodes to, and no 8', async () => {
  const backend = createHostBackend();
  const matrix = await quantizeOn(backend, VALUES, SHAPE, QUANTIZATION);
  const weight = await quantizeLevels(backend, matrix, null, { ...QUANTIZATION, levels: [3] });
  const nf4 = quantizeNf4({ data: VALUES, shape: SHAPE });
  expect(await decodedWeight(weight.otherLevels!.get(3)!, backend)).toEqual(
    dequantizeNf4(threeBitMatrix(nf4, dequantizeNf4(nf4))),
  );
  await expect(leveled(backend, null)).rejects.toThrow(/nothing is left over for a level of 8 bits/);
});

it('a weight of level 4 alone is the packed weight of today', async () => {
  const backend = createHostBackend();
  const matrix = await quantizeOn(backend, VALUES, SHAPE, { kind: 'nf4' });
  for (const levels of [undefined, [4]])
    expect(
      (await quantizeLevels(backend, matrix, VALUES, { kind: 'nf4', levels })).otherLevels,
    ).toBeUndefined();
});

it('levels of another kind than nf4 are refused before any weight is read', () => {
  const check = (kind: string, levels: readonly number[]) => (): void =>
    checkBuildOptions(
      'build-model',
      { backend: createHostBackend(), quantization: { kind, levels } },
      { backend: someBackend, quantization: someQuantization },
    );
  expect(check('fp4', [4, 8])).toThrow(/`levels` other than 4 need kind: 'nf4'/);
  for (const kind of ['fp4', 'nf4']) expect(check(kind, [4])).not.toThrow();
  expect(check('nf4', [3, 8])).not.toThrow();
});
