import { hostData, f32View, QdyloraError } from '@qdylora/contract';
import { expect, test } from 'vitest';
import { quantizedMatrix, quantizeNf4, type QuantizedParts } from '../index.ts';

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (QdyloraError.isInstance(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
};

test(
  'scales, levels and offsets that are no finite numbers are refused when a matrix is put together, ' +
    'with name and place',
  () => {
    const data = Float32Array.from({ length: 512 }, (_, i) => Math.sin(i));
    const quantized = (doubleQuantization: boolean): QuantizedParts =>
      quantizeNf4({ data, shape: [4, 128] }, { doubleQuantization });
    const plain = quantized(false);
    const nested = quantized(true);
    const withBad = (numbers: Float32Array, at: number, value: number): Float32Array =>
      numbers.slice().fill(value, at, at + 1);
    const double = nested.doubleQuantized!;
    expect([plain, nested].map((parts) => codeOf(() => quantizedMatrix(parts)))).toEqual([
      'accepted',
      'accepted',
    ]);
    expect(
      codeOf(() =>
        quantizedMatrix({ ...plain, absmax: f32View([8], withBad(hostData(plain.absmax!), 7, NaN)) }),
      ),
    ).toMatch(/^NON_FINITE.*the absmax must be finite \(got NaN at 7\)/);
    expect(
      codeOf(() =>
        quantizedMatrix({ ...plain, levels: f32View([16], withBad(hostData(plain.levels), 3, Infinity)) }),
      ),
    ).toMatch(/^NON_FINITE.*the levels must be finite \(got Infinity at 3\)/);
    expect(
      codeOf(() =>
        quantizedMatrix({
          ...nested,
          doubleQuantized: { ...double, absmax: f32View([1], Float32Array.of(-Infinity)) },
        }),
      ),
    ).toMatch(/^NON_FINITE.*the scales of the scales must be finite \(got -Infinity at 0\)/);
    expect(
      codeOf(() =>
        quantizedMatrix({
          ...nested,
          doubleQuantized: { ...double, map: f32View([256], withBad(hostData(double.map), 255, NaN)) },
        }),
      ),
    ).toMatch(/^NON_FINITE.*the map of the scales must be finite \(got NaN at 255\)/);
    expect(codeOf(() => quantizedMatrix({ ...nested, doubleQuantized: { ...double, offset: NaN } }))).toMatch(
      /^NON_FINITE.*offset/,
    );
    expect(
      codeOf(() => quantizedMatrix({ ...nested, doubleQuantized: { ...double, offset: 1e300 } })),
    ).toMatch(/^NON_FINITE.*the offset of the scales must be finite \(got 1e\+300/);
    expect(
      codeOf(() =>
        quantizedMatrix({
          ...nested,
          doubleQuantized: {
            ...double,
            map: f32View([256], new Float32Array(256).fill(3e38)),
            absmax: f32View([1], Float32Array.of(3e38)),
          },
        }),
      ),
    ).toMatch(/^NON_FINITE.*the decoded scales must be finite \(got Infinity at 0\)/);
  },
);
