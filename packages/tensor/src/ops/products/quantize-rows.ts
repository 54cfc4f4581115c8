import {
  hostData,
  defineOp,
  floatArray,
  roundHalfEven,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import { readElement } from '../elements/read-element.ts';

/** The least scale that a row may have; the scale of a smaller row, or of one that is not finite, is NaN. */
const LEAST_ROW_SCALE = 2 ** -100;

const LARGEST_CODE = 127;

/**
 * Rows as 8-bit integers with one scale each: scale = largest magnitude / 127, code = weight / scale rounded
 * to nearest even. So |weight − code · scale| ≤ scale / 2, up to rounding. A row of zeros has scale 0. The
 * scale is NaN and the codes are 0 if a row is not finite, or its scale is below 2⁻¹⁰⁰.
 *
 * weight: [rows, cols]   →   codes: [rows, cols], two's complement   scales: [rows]
 */
export const quantizeRows = defineOp({
  name: 'quantize-rows',
  takes: { weight: floatArray(2) },
  shapes({ weight: { shape } }: { weight: FloatView }, _: Record<string, never>) {
    return { codes: { dtype: 'u8', shape }, scales: { dtype: 'f32', shape: [shape[0]] } };
  },
  reference({ weight }, { codes, scales }: { codes: ArrayView<'u8'>; scales: ArrayView<'f32'> }) {
    const codesData = hostData(codes);
    const scalesData = hostData(scales);
    const [rows, cols] = weight.shape as [number, number];
    const at = readElement(weight);
    for (let row = 0; row < rows; row++) {
      const scale = scaleOfRow(at, row * cols, cols);
      const inverse = scale > 0 ? Math.fround(1 / scale) : 0;
      scalesData[row] = scale;
      for (let col = 0; col < cols; col++)
        codesData[row * cols + col] =
          inverse === 0 ? 0 : roundHalfEven(Math.fround(at(row * cols + col) * inverse));
    }
  },
});

function scaleOfRow(at: (i: number) => number, from: number, count: number): number {
  let largest = 0;
  for (let i = from; i < from + count; i++) {
    const magnitude = Math.abs(at(i));
    if (!Number.isFinite(magnitude)) return NaN;
    if (magnitude > largest) largest = magnitude;
  }
  const scale = Math.fround(largest / LARGEST_CODE);
  return largest === 0 || scale >= LEAST_ROW_SCALE ? scale : NaN;
}
