export { BLOCK_SIZES } from './blocks/block-size.ts';
export {
  deserializeBitsandbytes,
  quantStateName,
  serializeBitsandbytes,
  type BitsandbytesWeight,
  type StoredArray,
} from './bitsandbytes/bitsandbytes-layout.ts';
export {
  doubleQuantizeAsBitsandbytes,
  SCALE_ROUNDINGS,
  type ScaleRounding,
} from './bitsandbytes/bitsandbytes-scales.ts';
export { deriveNormalFloat } from './codebooks/derive-normal-float.ts';
export { signedDynamicMap, unsignedDynamicMap } from './codebooks/dynamic-8bit.ts';
export { FP4_LEVELS } from './codebooks/fp4.ts';
export { levelsOf, QUANTIZATION_KINDS, type QuantizationKind } from './codebooks/levels-of.ts';
export { NF4_LEVELS } from './codebooks/nf4.ts';
export { decodedAbsmax, dequantize4bit, dequantizeNf4 } from './dequantize-nf4.ts';
export { doubleQuantize, NESTED_BLOCK_SIZE, type DoubleQuantized } from './blocks/double-quantize.ts';
export { GGML_BLOCKS, type GgmlBlock } from './ggml/ggml-blocks.ts';
export { moveLevelsAndScales, moveToMemory } from './matrix/move-to-memory.ts';
export { levelSearch, nearestLevel, type LevelSearch } from './blocks/nearest-level.ts';
export { quantizedMatrix, type QuantizedMatrix } from './matrix/quantized-matrix.ts';
export { arraysOf, type DoubleQuantizedScales, type QuantizedParts } from './matrix/quantized-parts.ts';
export { copyToHost, readMatrix } from './matrix/copy-to-host.ts';
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
export {
  leveledWeight,
  QUANTIZATION_LEVELS,
  STORED_LEVEL,
  type OtherLevels,
} from './levels/leveled-weight.ts';
export { threeBitMatrix, type ThreeBitOptions } from './levels/three-bit-matrix.ts';
export { packedWeight } from './matrix/packed-weight.ts';
export { nibbleAt, packNibbles, unpackNibbles } from './blocks/pack-nibbles.ts';
export { quantize4bit, type DenseMatrix, type QuantizeOptions } from './quantize-4bit.ts';
export type { SourceDtype } from './bitsandbytes/quant-state.ts';
export { quantizeFp4 } from './quantize-fp4.ts';
export { quantizeNf4 } from './quantize-nf4.ts';
export { shapeMatrix, type ShapeMatrixOptions } from './matrix/shape-matrix.ts';
export { tileMatrix, untileMatrix } from './matrix/tile-matrix.ts';
export { toTiles } from './matrix/tile-order.ts';
