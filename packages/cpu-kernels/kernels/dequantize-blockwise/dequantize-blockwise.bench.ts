import { hostData } from '@qdylora/contract';
import {
  dequantizeBlockwise,
  quantize4bit,
  quantizedAttributes,
  quantizedInputs,
  type DequantizeAttributes,
} from '@qdylora/quant';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const [rows, cols] = [2048, 2048];
for (const doubleQuantization of [false, true]) {
  const matrix = quantize4bit(
    'nf4',
    { data: hostData(normalView(1, 'w', [rows, cols], 0.02)), shape: [rows, cols] },
    { doubleQuantization },
  );
  // weights per second = GB/s / 4.56 (4.52 with double quantization)
  const label = `nf4 ${rows}×${cols}${doubleQuantization ? ' double' : ''}`;
  const inputs = quantizedInputs(matrix);
  const attributes: DequantizeAttributes = quantizedAttributes(matrix);
  await benchKernel(dequantizeBlockwise, [
    { label, inputs, attributes, bytes: (4 + matrix.bitsPerWeight / 8) * rows * cols, bound: () => 0 },
    {
      label: `${label} to bf16`,
      inputs,
      attributes: { ...attributes, valuesDtype: 'bf16' },
      bytes: (2 + matrix.bitsPerWeight / 8) * rows * cols,
      bound: () => 0,
    },
  ]);
}
