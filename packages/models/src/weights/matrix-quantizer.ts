import {
  checkOptions,
  elementCount,
  hostData,
  rowsOf,
  runOp,
  type ArrayView,
  type Backend,
} from '@qdylora/contract';
import {
  arraysOf,
  doubleQuantizeAsBitsandbytes,
  levelsOf,
  quantizeBlockwise,
  quantizedMatrix,
  quantizeScales,
  shapeMatrix,
  signedDynamicMap,
  toTiles,
  type DoubleQuantizedScales,
  type QuantizationKind,
  type QuantizedMatrix,
  type ScaleRounding,
} from '@qdylora/quant';
import { QUANTIZATION_RULES } from '../check-build-options.ts';
import type { Quantization } from './quantization.ts';
import { readValues, type Values } from './read-values.ts';

/** A matrix that is quantized as its values arrive, stretch after stretch. */
export interface MatrixQuantizer {
  /** True when it has as many values as its shape says. */
  readonly isFull: boolean;
  /**
   * The next values, whole blocks of them but for the last; a tensor that is read only now has all that are
   * left. They are there only while this runs.
   */
  add(values: Values): void;
  /** The matrix, once it is full. */
  finish(): QuantizedMatrix;
  /** Gives everything back, where there will be no matrix. */
  cancel(): void;
}

/**
 * Quantizes one matrix with the backend's kernels, from bfloat16 as it is stored. The result lies in the open
 * scope of its memory, or in none, where it is made: nothing is copied.
 *
 * @throws QdyloraError NON_FINITE, from `add`; BAD_ARGUMENT for keys of `quantization` that are unknown or of
 * another kind
 */
export function matrixQuantizer(
  backend: Backend,
  kind: QuantizationKind,
  shape: readonly [number, number],
  quantization: Quantization,
): MatrixQuantizer {
  checkOptions('quantization', quantization, QUANTIZATION_RULES);
  const { doubleQuantization = true, blockSize = 64, scaleRounding = 'nearest' } = quantization;
  const { memory } = backend;
  const weights = elementCount(shape);
  const blocksIn = (count: number): number => Math.ceil(count / blockSize);
  const made = shapeMatrix({
    kind,
    shape,
    blockSize,
    doubleQuantization,
    tiled: backend.packedLayout === 'tiles',
    array: (dtype, of) => memory.allocate(dtype, of),
  });
  const { codes, levels, absmax: plain, doubleQuantized: nested, tiled } = made;
  const absmax = plain ?? memory.allocate('f32', [blocksIn(weights)]);
  let done = 0;
  return {
    get isFull() {
      return done === weights;
    },
    add(values) {
      const end = done + ('storage' in values ? elementCount(values.shape) : weights - done);
      memory.scoped(() => {
        const outputs = {
          codes: rowsOf(codes, done / 2, Math.ceil(end / 2)),
          absmax: rowsOf(absmax, done / blockSize, blocksIn(end)),
        };
        runOp(
          backend,
          quantizeBlockwise,
          { values: readValues(backend, values, [end - done]) },
          { kind, blockSize, ...(tiled && { tileColumns: shape[1] / blockSize }) },
          outputs,
        );
      });
      done = end;
    },
    finish: () =>
      memory.scoped(() => {
        memory.write(levels, levelsOf(kind));
        const scales = nested && { ...nested, offset: nestedScales(backend, absmax, nested, scaleRounding) };
        if (tiled) {
          if (scales) toTiles(scales.codes, shape, 'scales', scales.codes);
          else toTiles(absmax, shape, 'scales', absmax);
        }
        if (nested) memory.release(absmax);
        return quantizedMatrix({
          kind,
          shape: [shape[0], shape[1]],
          blockSize,
          codes,
          levels,
          absmax: plain,
          doubleQuantized: scales,
          tiled,
        });
      }),
    cancel() {
      for (const view of [...arraysOf(made), absmax]) memory.release(view);
    },
  };
}

/** Fills the codes, scales and map of double quantization; returns the offset. */
function nestedScales(
  backend: Backend,
  absmax: ArrayView<'f32'>,
  { codes, absmax: nestedAbsmax, map }: DoubleQuantizedScales,
  rounding: ScaleRounding,
): number {
  const { memory } = backend;
  memory.write(map, signedDynamicMap());
  if (rounding === 'nearest')
    return hostData(runOp(backend, quantizeScales, { absmax }, {}, { codes, nestedAbsmax }).offset)[0]!;
  const theirs = doubleQuantizeAsBitsandbytes(hostData(absmax));
  memory.write(codes, theirs.codes);
  memory.write(nestedAbsmax, theirs.absmax);
  return theirs.offset;
}
