export { arraysOf } from './arrays-of.ts';
export { BLOCK_SIZES } from './block-size.ts';
export {
  deserializeBitsandbytes,
  quantStateName,
  serializeBitsandbytes,
  type BitsandbytesWeight,
  type StoredArray,
} from './bitsandbytes-layout.ts';
export { doubleQuantizeAsBitsandbytes, SCALE_ROUNDINGS, type ScaleRounding } from './bitsandbytes-scales.ts';
export { deriveNormalFloat } from './codebooks/derive-normal-float.ts';
export { signedDynamicMap, unsignedDynamicMap } from './codebooks/dynamic-8bit.ts';
export { FP4_LEVELS } from './codebooks/fp4.ts';
export { levelsOf, QUANTIZATION_KINDS, type QuantizationKind } from './codebooks/levels-of.ts';
export { NF4_LEVELS } from './codebooks/nf4.ts';
export { decodedAbsmax, dequantize4bit, dequantizeNf4 } from './dequantize-nf4.ts';
export { doubleQuantize, NESTED_BLOCK_SIZE, type DoubleQuantized } from './double-quantize.ts';
export { GGML_BLOCKS, type GgmlBlock } from './ggml/ggml-blocks.ts';
export { moveToMemory } from './move-to-memory.ts';
export { levelSearch, nearestLevel, type LevelSearch } from './nearest-level.ts';
export {
  quantizedMatrix,
  type DoubleQuantizedScales,
  type Nf4Matrix,
  type QuantizedMatrix,
  type QuantizedParts,
} from './nf4-matrix.ts';
export { copyToHost } from './copy-to-host.ts';
export { dequantizeBlockwise, type DequantizeAttributes } from './ops/dequantize-blockwise.ts';
export { dequantizeGgml, type DequantizeGgmlAttributes } from './ops/dequantize-ggml.ts';
export { matmulNf4, matmulNf4InputGradient, type MatmulNf4Attributes } from './ops/matmul-nf4.ts';
export { quantizeBlockwise, type QuantizeBlockwiseAttributes } from './ops/quantize-blockwise.ts';
export { quantizeScales } from './ops/quantize-scales.ts';
export {
  assertQuantized,
  QUANTIZED_INPUTS,
  quantizedAttributes,
  quantizedInputs,
  type QuantizedAttributes,
  type QuantizedInputs,
} from './ops/quantized-inputs.ts';
export { packedWeight } from './packed-weight.ts';
export { nibbleAt, packNibbles, unpackNibbles } from './pack-nibbles.ts';
export { quantize4bit, type DenseMatrix, type QuantizeOptions } from './quantize-4bit.ts';
export type { SourceDtype } from './quant-state.ts';
export { quantizeFp4 } from './quantize-fp4.ts';
export { quantizeNf4 } from './quantize-nf4.ts';
export { shapeMatrix, type ShapeMatrixOptions } from './shape-matrix.ts';
export { tileMatrix, untileMatrix } from './tile-matrix.ts';
export { toTiles } from './tile-order.ts';
