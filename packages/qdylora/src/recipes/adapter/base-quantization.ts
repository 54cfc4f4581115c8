import type { RunConfig } from '../../config/resolve-run.ts';
import type { AdapterSidecar } from './adapter-sidecar.ts';

/** How matrices are quantized. */
export type MatrixQuantization = Pick<
  RunConfig,
  'quantization' | 'doubleQuantization' | 'quantizationBlockSize'
>;

/** How the run of an adapter stored its base. */
export const baseQuantization = ({ base }: AdapterSidecar): MatrixQuantization => ({
  quantization: base.quantization,
  doubleQuantization: base.double_quantization,
  quantizationBlockSize: base.quantization_block_size,
});

/** `nf4 with double quantization, blocks of 64`. */
export const quantizationText = ({
  quantization,
  doubleQuantization,
  quantizationBlockSize,
}: MatrixQuantization): string =>
  quantization === 'none'
    ? 'full precision'
    : `${quantization} ${doubleQuantization ? 'with' : 'without'} double quantization, ` +
      `blocks of ${quantizationBlockSize}`;

/** `nf4 + double quantization`, for overviews, where the size of blocks does not matter. */
export const shortQuantizationText = ({
  quantization,
  doubleQuantization,
}: Pick<MatrixQuantization, 'quantization' | 'doubleQuantization'>): string =>
  quantization === 'none'
    ? 'not quantized'
    : `${quantization}${doubleQuantization ? ' + double quantization' : ''}`;
