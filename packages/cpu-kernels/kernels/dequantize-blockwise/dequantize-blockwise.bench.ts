import { dequantizeBlockwise, quantize4bit, quantizedAttributes, quantizedInputs } from '@qdylora/quant';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const [rows, cols] = [2048, 2048];
for (const doubleQuantization of [false, true]) {
  const matrix = quantize4bit('nf4', { data: normalView(1, 'w', [rows, cols], 0.02).data, shape: [rows, cols] }, { doubleQuantization });
  // weights per second = GB/s / 4.56 (4.52 with double quantization)
  const label = `nf4 ${rows}×${cols}${doubleQuantization ? ' double' : ''}`, bytes = (4 + matrix.bitsPerWeight / 8) * rows * cols;
  await benchKernel(dequantizeBlockwise, [{ label, inputs: quantizedInputs(matrix), attributes: quantizedAttributes(matrix), bytes, bound: () => 0 }]);
}
