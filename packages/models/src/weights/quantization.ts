import { elementCount, viewOf, runOp, f32View, type ArrayView, type Backend, type Memory } from '@qdylora/contract';
import { doubleQuantize, levelsOf, moveToMemory, NESTED_BLOCK_SIZE, quantizeBlockwise, quantizedMatrix, tileMatrix, type QuantizationKind, type QuantizedMatrix } from '@qdylora/quant';

/** How linear layers are stored: `none`, or 4 bits a weight. */
export interface Quantization { readonly kind: QuantizationKind | 'none'; readonly doubleQuantization?: boolean; readonly blockSize?: number }

/** The matrix as the backend's kernels read it fastest; its arrays are written over. */
export const arrangedFor = ({ packedLayout }: Backend, matrix: QuantizedMatrix): QuantizedMatrix => (packedLayout === 'tiles' ? tileMatrix(matrix, { inPlace: true }) : matrix);

/** Quantizes one matrix with the backend's kernel; the result lives in its memory. `fill` writes its rows · cols values into memory that is given back at once. */
export function quantizeOn(backend: Backend, kind: QuantizationKind, fill: (values: Float32Array) => void, shape: readonly [number, number], { doubleQuantization = true, blockSize = 64 }: Quantization): QuantizedMatrix {
  return backend.memory.scoped(() => {
    const staged: ArrayView<'f32'> = backend.memory.allocate('f32', [shape[0] * shape[1]]);
    writeFilled(backend.memory, staged, fill);
    const { codes, absmax } = runOp(backend, quantizeBlockwise, { values: staged }, { kind, blockSize });
    const nested = doubleQuantization ? doubleQuantize(Float32Array.from(absmax.data)) : null;
    return moveToMemory(arrangedFor(backend, quantizedMatrix({
      kind, shape: [shape[0], shape[1]], blockSize, codes, levels: f32View([16], levelsOf(kind)), absmax: nested ? null : absmax,
      doubleQuantized: nested && {
        codes: viewOf('u8', [nested.codes.length], nested.codes), absmax: f32View([nested.absmax.length], nested.absmax), map: f32View([256], nested.map),
        offset: nested.offset, blockSize: NESTED_BLOCK_SIZE,
      },
    })), backend.memory);
  });
}

/** Lets `fill` write where the values shall lie, where that is host memory; else by way of it. */
export function writeFilled(memory: Memory, view: ArrayView<'f32'>, fill: (values: Float32Array) => void): void {
  if (memory.isHost && view.data instanceof Float32Array) return fill(view.data);
  const values = new Float32Array(elementCount(view.shape));
  fill(values);
  memory.write(view, values);
}
