import type { FloatView } from '@qdylora/contract';
import type { QuantizedAttributes, QuantizedInputs } from '@qdylora/quant';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { f32, i32, input, output, u32, u64, type Argument, type CudaDoor } from '../../launch/launch.ts';

/** CODES_OF_WORD in src/device/quantized-weight.h. */
const VALUES_OF_THREAD = 8;

/** The scales of a weight as arguments: absmax, or the arrays of double quantization. */
export const scaleArguments = ({
  absmax,
  absmaxCodes,
  nestedAbsmax,
  nestedMap,
}: QuantizedInputs): readonly Argument[] =>
  absmax ? [input(absmax)] : [input(absmaxCodes!), input(nestedAbsmax!), input(nestedMap!)];

/** Launches values = the decoded weight, [rows · cols] in row-major order. */
export function launchDequantize(
  { launch }: CudaDoor,
  weight: QuantizedInputs,
  values: FloatView,
  { rows, cols, blockSize, nestedOffset, tiled }: QuantizedAttributes,
): void {
  const n = rows * cols;
  launch({
    module: 'dequantize-blockwise',
    kernel: `dequantize${weight.absmax ? '' : 'Nested'}${dtypeSuffix(values)}`,
    ...elementwiseGrid(n, VALUES_OF_THREAD),
    arguments: [
      input(weight.codes),
      input(weight.levels),
      ...scaleArguments(weight),
      output(values),
      u64(n),
      i32(blockSize),
      u32(tiled ? cols / blockSize : 0),
      ...(weight.absmax ? [] : [f32(nestedOffset)]),
    ],
  });
}
