import { oneOf, optionRule, required, trueOrFalse, wholeNumber, type OptionRules } from '@qdylora/contract';
import {
  QUANTIZATION_LEVELS,
  QUANTIZATION_KINDS,
  SCALE_ROUNDINGS,
  type QuantizationKind,
  type ScaleRounding,
} from '@qdylora/quant';

/** How linear layers are stored: in the precision of the checkpoint (`none`), or in 4 bits. */
export interface Quantization {
  readonly kind: QuantizationKind | 'none';
  /** Block scales in 8 bits; true by default. */
  readonly doubleQuantization?: boolean;
  /** Weights that share a scale; 64 by default. */
  readonly blockSize?: number;
  /**
   * How scales are rounded to 8 bits; `nearest` by default. `bitsandbytes` rounds on the host, also for a
   * device.
   */
  readonly scaleRounding?: ScaleRounding;
  /**
   * Levels in bits a weight that the model can compute at (`modelAtLevel`), some of 3, 4 and 8; [4] by
   * default. Level 4 is always there. 3 and 8 need `kind: 'nf4'`.
   */
  readonly levels?: readonly number[];
}

const isLevels = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every((level) => QUANTIZATION_LEVELS.includes(level as 4));

export const QUANTIZATION_RULES: OptionRules<Quantization> = {
  kind: required(oneOf(['none', ...QUANTIZATION_KINDS])),
  doubleQuantization: trueOrFalse,
  blockSize: wholeNumber(1),
  scaleRounding: oneOf(SCALE_ROUNDINGS),
  levels: optionRule(`a list of ${QUANTIZATION_LEVELS.join(', ')}`, isLevels),
};

/** How one matrix is quantized. */
export interface MatrixQuantization extends Quantization {
  readonly kind: QuantizationKind;
}

export const MATRIX_QUANTIZATION_RULES: OptionRules<MatrixQuantization> = {
  ...QUANTIZATION_RULES,
  kind: required(oneOf(QUANTIZATION_KINDS)),
};
