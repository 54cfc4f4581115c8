import { viewOf, runOp, f32View, type ArrayView, type Backend } from '@qdylora/contract';
import { doubleQuantize, levelsOf, moveToMemory, NESTED_BLOCK_SIZE, quantizeBlockwise, quantizedMatrix, type QuantizationKind, type QuantizedMatrix } from '@qdylora/quant';

/** How linear layers are stored: `none`, or 4 bits a weight. */
export interface Quantization { readonly kind: QuantizationKind | 'none'; readonly doubleQuantization?: boolean; readonly blockSize?: number }

/** Quantizes one matrix with the backend's kernel; the result lives in its memory.  values: rows · cols float32 */
export function quantizeOn(backend: Backend, kind: QuantizationKind, values: Float32Array, shape: readonly [number, number], { doubleQuantization = true, blockSize = 64 }: Quantization): QuantizedMatrix {
  return backend.memory.scoped(() => {
    const staged: ArrayView<'f32'> = backend.memory.allocate('f32', [values.length]);
    backend.memory.write(staged, values);
    const { codes, absmax } = runOp(backend, quantizeBlockwise, { values: staged }, { kind, blockSize });
    const nested = doubleQuantization ? doubleQuantize(Float32Array.from(absmax.data)) : null;
    return moveToMemory(quantizedMatrix({
      kind, shape: [shape[0], shape[1]], blockSize, codes, levels: f32View([16], levelsOf(kind)), absmax: nested ? null : absmax,
      doubleQuantized: nested && {
        codes: viewOf('u8', [nested.codes.length], nested.codes), absmax: f32View([nested.absmax.length], nested.absmax), map: f32View([256], nested.map),
        offset: nested.offset, blockSize: NESTED_BLOCK_SIZE,
      },
    }), backend.memory);
  });
}
