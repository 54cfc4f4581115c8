// One package alone: NF4 quantization in a browser or in Node, without native code.
import { dequantizeNf4, quantizeNf4 } from '@qdylora/quant';

export function quantizeOneMatrix(
  weights: Float32Array,
  shape: [number, number],
): { bitsPerWeight: number; restored: Float32Array } {
  const packed = quantizeNf4({ data: weights, shape }, { blockSize: 64, doubleQuantization: true });
  return { bitsPerWeight: packed.bitsPerWeight, restored: dequantizeNf4(packed) };
}
